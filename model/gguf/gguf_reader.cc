#include "model/gguf/gguf_reader.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::model {

absl::string_view GgufTypeName(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
      return "uint8";
    case GgufType::kInt8:
      return "int8";
    case GgufType::kUint16:
      return "uint16";
    case GgufType::kInt16:
      return "int16";
    case GgufType::kUint32:
      return "uint32";
    case GgufType::kInt32:
      return "int32";
    case GgufType::kFloat32:
      return "float32";
    case GgufType::kBool:
      return "bool";
    case GgufType::kString:
      return "string";
    case GgufType::kArray:
      return "array";
    case GgufType::kUint64:
      return "uint64";
    case GgufType::kInt64:
      return "int64";
    case GgufType::kFloat64:
      return "float64";
  }
  return "unknown";
}

int64_t GgufTypeBytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

absl::Status GgufReader::Error(absl::string_view message) const {
  return absl::InvalidArgumentError(absl::StrCat("GGUF, offset ", offset_, ": ", message));
}

absl::Status GgufReader::Missing(uint64_t size, absl::string_view what) const {
  return Error(absl::StrCat(what, " needs ", size, " bytes, ", left(),
                            " are left: the file is truncated or damaged"));
}

absl::StatusOr<absl::Span<const uint8_t>> GgufReader::ReadBytes(uint64_t size,
                                                                absl::string_view what) {
  if (size > left()) return Missing(size, what);
  const absl::Span<const uint8_t> view = bytes_.subspan(offset_, size);
  offset_ += size;
  return view;
}

absl::StatusOr<uint8_t> GgufReader::ReadU8(absl::string_view what) {
  ASSIGN_OR_RETURN(const auto view, ReadBytes(1, what));
  return view[0];
}

absl::StatusOr<uint32_t> GgufReader::ReadU32(absl::string_view what) {
  ASSIGN_OR_RETURN(const auto view, ReadBytes(4, what));
  return LoadLittleEndian<uint32_t>(view.data());
}

absl::StatusOr<uint64_t> GgufReader::ReadU64(absl::string_view what) {
  ASSIGN_OR_RETURN(const auto view, ReadBytes(8, what));
  return LoadLittleEndian<uint64_t>(view.data());
}

absl::StatusOr<absl::string_view> GgufReader::ReadString(uint64_t longest, absl::string_view what) {
  ASSIGN_OR_RETURN(const uint64_t size, ReadU64(what));
  if (size > longest) {
    return Error(absl::StrCat(what, " has length ", size, ", at most ", longest, " is allowed"));
  }
  ASSIGN_OR_RETURN(const auto view, ReadBytes(size, what));
  return absl::string_view(reinterpret_cast<const char*>(view.data()), view.size());
}

}  // namespace scoville::model
