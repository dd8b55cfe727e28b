// Prices of single operators by the product's own code, for the scripts here.
//
//   price_operators PROFILE < rows
//
// PROFILE is a built-in name or the path of a file. A row is comma-separated; for each one the
// seconds of a call at the top clock are printed, 17 digits:
//
//   gemm,MATH,m,n,k                                            MATH: bf16, fp8 or fp4
//   decode,heads,kv_heads,head_size,kv_bytes,batch,context     one new token each
//   prefill,heads,kv_heads,head_size,kv_bytes,batch,chunk,cached
//   mixed,heads,kv_heads,head_size,kv_bytes,chunk,cached,decodes,context   one launch for both
//   all_reduce,ranks,bytes                                     over the local fabric
//
// Exit code 1 with "row N: what" for what it cannot price.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "device/physics/operator_cost.h"
#include "device/physics/profile.h"

namespace scoville::device {
namespace {

using Numbers = std::vector<double>;

absl::StatusOr<Numbers> ReadNumbers(const std::vector<std::string>& fields, size_t first,
                                    size_t count) {
  if (fields.size() != first + count) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", first + count, " fields, found ", fields.size()));
  }
  Numbers numbers(count);
  for (size_t i = 0; i < count; ++i) {
    if (!absl::SimpleAtod(fields[first + i], &numbers[i]) || !std::isfinite(numbers[i]) ||
        numbers[i] < 0) {
      return absl::InvalidArgumentError(absl::StrCat("'", fields[first + i], "' is no size"));
    }
  }
  return numbers;
}

absl::Status Lacks(const Profile& profile, const char* group) {
  return absl::InvalidArgumentError(absl::StrCat(profile.name, " has no operators.", group));
}

DecodeSums Decodes(double batch, double context) {
  const double tiles = std::ceil(context / kKvTile);
  return {batch, batch * tiles, tiles};
}

PrefillSums Prompts(const Profile& profile, const AttentionShape& shape, double batch, double chunk,
                    double cached) {
  PrefillSums sums = PrefillOf(profile, shape, chunk, cached);
  for (double* sum : {&sums.tokens, &sums.cached, &sums.tiles, &sums.items, &sums.item_rows}) {
    *sum *= batch;
  }
  return sums;
}

absl::StatusOr<double> PriceProduct(const Profile& profile, const std::vector<std::string>& row) {
  ASSIGN_OR_RETURN(const Numbers n, ReadNumbers(row, 2, 3));
  for (int type = 0; type < kMathTypes; ++type) {
    const MathType math = static_cast<MathType>(type);
    if (row[1] != MathTypeName(math)) {
      continue;
    }
    if (profile.Gemm(math) == nullptr) {
      return Lacks(profile, "gemm_bf16");
    }
    return TimeGemm(profile, math, {n[0], n[1], n[2]}).Seconds();
  }
  return absl::InvalidArgumentError(absl::StrCat("no type '", row[1], "'"));
}

absl::StatusOr<double> Price(const Profile& profile, const std::vector<std::string>& row) {
  const OperatorConstants& constants = profile.operators;
  const auto shape = [](const Numbers& n) { return AttentionShape{n[0], n[1], n[2], n[3]}; };
  if (row[0] == "gemm") {
    return PriceProduct(profile, row);
  }
  if (row[0] == "decode") {
    ASSIGN_OR_RETURN(const Numbers n, ReadNumbers(row, 1, 6));
    return constants.decode.given ? TimeDecodes(profile, shape(n), Decodes(n[4], n[5])).Seconds()
                                  : absl::StatusOr<double>(Lacks(profile, "decode"));
  }
  if (row[0] == "prefill" || row[0] == "mixed") {
    const bool mixed = row[0] == "mixed";
    ASSIGN_OR_RETURN(const Numbers n, ReadNumbers(row, 1, mixed ? 8 : 7));
    if (!constants.prefill.given) {
      return Lacks(profile, "prefill");
    }
    if (mixed) {
      return TimeOneLaunch(profile, shape(n), Prompts(profile, shape(n), 1, n[4], n[5]),
                           Decodes(n[6], n[6] > 0 ? n[7] : 0))
          .Seconds();
    }
    return TimePrefill(profile, shape(n), Prompts(profile, shape(n), n[4], n[5], n[6])).Seconds();
  }
  if (row[0] == "all_reduce") {
    ASSIGN_OR_RETURN(const Numbers n, ReadNumbers(row, 1, 2));
    if (!constants.all_reduce.given) {
      return Lacks(profile, "all_reduce");
    }
    const AllReduceTime t = TimeAllReduce(profile, n[0], n[1], profile.local_bandwidth.value);
    return t.latency_seconds + t.transfer_seconds;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "no operator '", row[0], "'; there are gemm, decode, prefill, mixed, all_reduce"));
}

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: price_operators PROFILE < rows\n";
    return 2;
  }
  const absl::StatusOr<Profile> profile = FindProfile(argv[1]);
  if (!profile.ok()) {
    std::cerr << "price_operators: " << profile.status().message() << "\n";
    return 1;
  }
  std::string line;
  for (int64_t number = 1; std::getline(std::cin, line); ++number) {
    const absl::StatusOr<double> seconds = Price(*profile, absl::StrSplit(line, ','));
    if (!seconds.ok()) {
      std::cerr << "row " << number << ": " << seconds.status().message() << "\n";
      return 1;
    }
    std::printf("%.17g\n", *seconds);
  }
  return 0;
}

}  // namespace
}  // namespace scoville::device

int main(int argc, char** argv) { return scoville::device::Main(argc, argv); }
