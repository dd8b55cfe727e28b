// Teacher forcing: writes the logits of every position of given token sequences.
//
//   scoville_logits MODEL.gguf ours|reference [--chunk N] < TOKENS > LOGITS
//
// TOKENS is one sequence a line, ids separated by spaces. LOGITS is, for each sequence and each of
// its positions, `vocabulary` little-endian 32-bit floats, nothing between them. `ours` is
// model/compute, `reference` the plain loops of reference_transformer.h.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/compute_pool.h"
#include "base/status_macros.h"
#include "model/compute/kv_storage.h"
#include "model/compute/transformer.h"
#include "tests/reference/reference_transformer.h"

namespace scoville::tests {
namespace {

using Rows = std::vector<std::vector<float>>;

absl::Status Write(const Rows& rows) {
  for (const std::vector<float>& row : rows) {
    if (std::fwrite(row.data(), sizeof(float), row.size(), stdout) != row.size()) {
      return absl::DataLossError("cannot write to the standard output");
    }
  }
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::StatusOr<Rows> RunOurs(const model::Transformer& transformer,
                             const std::vector<int32_t>& tokens, int64_t chunk) {
  constexpr int64_t kBlock = 16;
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  ASSIGN_OR_RETURN(auto kv, model::KvStorage::Create(transformer.config(), blocks, kBlock));
  std::vector<uint32_t> table;
  for (int64_t b = 0; b < blocks; ++b) table.push_back(static_cast<uint32_t>(b));
  auto workspace = transformer.NewWorkspace(std::min(chunk, count), 1);
  SoloTeam team;
  Rows rows(tokens.size());
  for (int64_t at = 0; at < count; at += chunk) {
    model::BatchSequence sequence;
    sequence.tokens =
        absl::MakeConstSpan(tokens).subspan(static_cast<size_t>(at), static_cast<size_t>(chunk));
    sequence.position = at;
    sequence.kv = kv.get();
    sequence.blocks = table;
    transformer.Forward(
        {sequence}, *workspace,
        [&](int, int64_t row, absl::Span<float> logits) {
          rows[static_cast<size_t>(at + row)].assign(logits.begin(), logits.end());
        },
        team, 0);
  }
  return rows;
}

absl::StatusOr<std::vector<int32_t>> ParseLine(const std::string& line,
                                               const model::ModelConfig& config) {
  std::istringstream in(line);
  std::vector<int32_t> tokens;
  for (int64_t id; in >> id;) {
    if (id < 0 || id >= config.vocabulary) {
      return absl::InvalidArgumentError(absl::StrCat("token ", id, " is outside the vocabulary"));
    }
    tokens.push_back(static_cast<int32_t>(id));
  }
  if (!in.eof() || static_cast<int64_t>(tokens.size()) > config.context) {
    return absl::InvalidArgumentError(
        absl::StrCat("want at most ", config.context, " token ids, got: ", line.substr(0, 60)));
  }
  return tokens;
}

absl::Status Run(const std::string& path, bool ours, int64_t chunk) {
  ASSIGN_OR_RETURN(auto file, model::GgufFile::Open(path));
  std::unique_ptr<model::Transformer> transformer;
  std::unique_ptr<ReferenceTransformer> reference;
  if (ours) {
    ASSIGN_OR_RETURN(transformer, model::Transformer::Load(*file));
  } else {
    ASSIGN_OR_RETURN(reference, ReferenceTransformer::Load(*file));
  }
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    if (ours) {
      ASSIGN_OR_RETURN(const auto tokens, ParseLine(line, transformer->config()));
      ASSIGN_OR_RETURN(const Rows rows, RunOurs(*transformer, tokens, chunk));
      RETURN_IF_ERROR(Write(rows));
    } else {
      ASSIGN_OR_RETURN(const auto tokens, ParseLine(line, reference->config()));
      RETURN_IF_ERROR(Write(reference->Run(tokens)));
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace scoville::tests

int main(int argc, char** argv) {
  const std::string engine = argc > 2 ? argv[2] : "";
  int64_t chunk = 512;
  if (argc == 5 && std::string(argv[3]) == "--chunk") chunk = std::atoll(argv[4]);
  if ((argc != 3 && argc != 5) || (engine != "ours" && engine != "reference") || chunk < 1) {
    std::fprintf(
        stderr, "usage: scoville_logits MODEL.gguf ours|reference [--chunk N] < TOKENS > LOGITS\n");
    return 2;
  }
  const absl::Status status = scoville::tests::Run(argv[1], engine == "ours", chunk);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
