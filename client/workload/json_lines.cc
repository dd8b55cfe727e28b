#include "client/workload/json_lines.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace scoville::client {

namespace {

using Json = nlohmann::json;

constexpr size_t kLongestLine = size_t{16} << 20;

}  // namespace

absl::Status AtLine(absl::string_view file, int64_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file, ":", line, ": ", what));
}

absl::Status ForEachObject(absl::string_view text, absl::string_view file, int64_t most,
                           absl::FunctionRef<absl::Status(int64_t line, const Json& object)> row) {
  int64_t line = 0;
  int64_t taken = 0;
  for (absl::string_view content : absl::StrSplit(text, '\n')) {
    ++line;
    content = absl::StripSuffix(content, "\r");
    if (content.empty()) {
      continue;
    }
    if (most > 0 && taken == most) {
      break;
    }
    if (content.size() > kLongestLine) {
      return AtLine(file, line, "is longer than 16 MiB");
    }
    const Json object = Json::parse(content.begin(), content.end(), nullptr, false);
    if (!object.is_object()) {
      return AtLine(file, line, "is not one JSON object");
    }
    RETURN_IF_ERROR(row(line, object));
    ++taken;
  }
  return taken > 0 ? absl::OkStatus() : AtLine(file, 1, "the trace has no requests");
}

bool ReadCount(const Json& object, const char* key, int64_t low, int64_t high, int64_t* out) {
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number_integer()) {
    return false;
  }
  if (field->is_number_unsigned() && field->get<uint64_t>() > static_cast<uint64_t>(high)) {
    return false;
  }
  *out = field->get<int64_t>();
  return *out >= low && *out <= high;
}

absl::Status ReadBlockIds(const Json& object, const char* key, int64_t count, int64_t* left,
                          std::vector<uint32_t>* out) {
  const auto field = object.find(key);
  if (field == object.end() || !field->is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(key, " must be a list of block ids"));
  }
  if (static_cast<int64_t>(field->size()) != count) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " has ", field->size(), " ids, the prompt has ", count, " blocks"));
  }
  if (count > *left) {
    return absl::InvalidArgumentError(
        absl::StrCat("up to here the trace has more than ", kMostTraceBlocks, " block ids"));
  }
  *left -= count;
  out->reserve(field->size());
  for (const Json& id : *field) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > UINT32_MAX) {
      return absl::InvalidArgumentError(
          absl::StrCat(key, "[", out->size(), "] must be a whole number from 0 to ", UINT32_MAX));
    }
    out->push_back(static_cast<uint32_t>(id.get<uint64_t>()));
  }
  return absl::OkStatus();
}

}  // namespace scoville::client
