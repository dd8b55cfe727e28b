#include "model/gguf/gguf_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/gguf/gguf_reader.h"

namespace scoville::model {

namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr uint64_t kMaxKeyBytes = 65'535;
constexpr uint64_t kMaxTensorNameBytes = 256;
constexpr uint64_t kMaxStringBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint64_t kDefaultAlignment = 32;
// The smallest a key-value pair and a tensor's description can be, so that a count can be checked
// against the bytes that are left.
constexpr uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

// Names come from the file: shown escaped and cut, whatever they hold.
std::string Shown(absl::string_view name) {
  const std::string text = absl::CHexEscape(name.substr(0, 80));
  return name.size() > 80 ? absl::StrCat("`", text, "…`") : absl::StrCat("`", text, "`");
}

// A metadata value: its type and its bytes in the file. Strings are stored without their length; an
// array's bytes are its elements as they stand.
struct Value {
  GgufType type = GgufType::kUint8;
  GgufType element = GgufType::kUint8;  // of an array
  uint64_t count = 0;                   // of an array
  absl::Span<const uint8_t> bytes;

  std::string TypeName() const {
    return type == GgufType::kArray ? absl::StrCat("array of ", GgufTypeName(element))
                                    : std::string(GgufTypeName(type));
  }
};

absl::StatusOr<Value> ReadArray(GgufReader& reader) {
  Value value;
  value.type = GgufType::kArray;
  ASSIGN_OR_RETURN(const uint32_t element, reader.ReadU32("array element type"));
  ASSIGN_OR_RETURN(value.count, reader.ReadU64("array length"));
  value.element = static_cast<GgufType>(element);
  if (value.element == GgufType::kArray) {
    return reader.Error("an array of arrays is not supported");
  }
  if (value.element == GgufType::kString) {
    if (value.count > reader.left() / 8) {
      return reader.Error(absl::StrCat("an array of ", value.count, " strings does not fit in the ",
                                       reader.left(), " bytes that are left"));
    }
    GgufReader start = reader;
    for (uint64_t i = 0; i < value.count; ++i) {
      RETURN_IF_ERROR(reader.ReadString(kMaxStringBytes, "array string").status());
    }
    ASSIGN_OR_RETURN(value.bytes, start.ReadBytes(reader.offset() - start.offset(), "array"));
    return value;
  }
  const auto size = static_cast<uint64_t>(GgufTypeBytes(value.element));
  if (size == 0) {
    return reader.Error(absl::StrCat("array element type ", element, " is unknown"));
  }
  if (value.count > reader.left() / size) {
    return reader.Error(absl::StrCat("an array of ", value.count, " ", GgufTypeName(value.element),
                                     " does not fit in the ", reader.left(),
                                     " bytes that are left"));
  }
  ASSIGN_OR_RETURN(value.bytes, reader.ReadBytes(value.count * size, "array"));
  return value;
}

absl::StatusOr<Value> ReadValue(GgufReader& reader) {
  ASSIGN_OR_RETURN(const uint32_t number, reader.ReadU32("value type"));
  const auto type = static_cast<GgufType>(number);
  if (type == GgufType::kArray) return ReadArray(reader);
  Value value;
  value.type = type;
  if (type == GgufType::kString) {
    ASSIGN_OR_RETURN(const absl::string_view text, reader.ReadString(kMaxStringBytes, "string"));
    value.bytes = {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
    return value;
  }
  const auto size = static_cast<uint64_t>(GgufTypeBytes(type));
  if (size == 0) return reader.Error(absl::StrCat("value type ", number, " is unknown"));
  ASSIGN_OR_RETURN(value.bytes, reader.ReadBytes(size, "value"));
  if (type == GgufType::kBool && value.bytes[0] > 1) {
    return reader.Error(absl::StrCat("a bool holds ", value.bytes[0]));
  }
  return value;
}

// The integer at `p`; false if `type` is no integer or the value exceeds int64.
bool LoadInt(GgufType type, const uint8_t* p, int64_t* out) {
  switch (type) {
    case GgufType::kUint8:
      *out = p[0];
      return true;
    case GgufType::kInt8:
      *out = static_cast<int8_t>(p[0]);
      return true;
    case GgufType::kUint16:
      *out = LoadLittleEndian<uint16_t>(p);
      return true;
    case GgufType::kInt16:
      *out = static_cast<int16_t>(LoadLittleEndian<uint16_t>(p));
      return true;
    case GgufType::kUint32:
      *out = LoadLittleEndian<uint32_t>(p);
      return true;
    case GgufType::kInt32:
      *out = static_cast<int32_t>(LoadLittleEndian<uint32_t>(p));
      return true;
    case GgufType::kInt64:
    case GgufType::kUint64:
      *out = static_cast<int64_t>(LoadLittleEndian<uint64_t>(p));
      return type == GgufType::kInt64 || *out >= 0;
    default:
      return false;
  }
}

bool LoadFloat(GgufType type, const uint8_t* p, double* out) {
  if (type == GgufType::kFloat32) {
    *out = static_cast<double>(std::bit_cast<float>(LoadLittleEndian<uint32_t>(p)));
    return true;
  }
  if (type == GgufType::kFloat64) {
    *out = std::bit_cast<double>(LoadLittleEndian<uint64_t>(p));
    return true;
  }
  return false;
}

struct Claim {
  uint64_t offset;
  uint64_t size;
  size_t tensor;
};

// The bytes that a tensor of these dimensions takes; refuses partial blocks and overflow.
absl::StatusOr<uint64_t> StoredBytes(const GgufReader& reader, const TensorInfo& tensor) {
  const auto block_size = static_cast<uint64_t>(GgmlBlockSize(tensor.type));
  const auto block_bytes = static_cast<uint64_t>(GgmlBlockBytes(tensor.type));
  const auto row = static_cast<uint64_t>(tensor.dims[0]);
  if (row % block_size != 0) {
    return reader.Error(absl::StrCat("tensor ", Shown(tensor.name), ": rows of ", row,
                                     " values are not whole blocks of ", block_size, " (",
                                     GgmlTypeName(tensor.type), ")"));
  }
  uint64_t bytes = 0;
  bool overflow = __builtin_mul_overflow(row / block_size, block_bytes, &bytes);
  for (size_t i = 1; i < tensor.dims.size(); ++i) {
    overflow |= __builtin_mul_overflow(bytes, static_cast<uint64_t>(tensor.dims[i]), &bytes);
  }
  // A stored value takes more than half a byte, so the count of values fits as well.
  if (overflow || bytes > uint64_t{1} << 60) {
    return reader.Error(absl::StrCat("tensor ", Shown(tensor.name), ": its dimensions overflow"));
  }
  return bytes;
}

absl::Status ReadTensorInfo(GgufReader& reader, TensorInfo& tensor, Claim& claim) {
  ASSIGN_OR_RETURN(const absl::string_view name,
                   reader.ReadString(kMaxTensorNameBytes, "tensor name"));
  if (name.empty()) return reader.Error("a tensor has no name");
  tensor.name = std::string(name);
  ASSIGN_OR_RETURN(const uint32_t n_dims, reader.ReadU32("number of dimensions"));
  if (n_dims < 1 || n_dims > 4) {
    return reader.Error(
        absl::StrCat("tensor ", Shown(name), ": ", n_dims, " dimensions, 1 to 4 are allowed"));
  }
  for (uint32_t i = 0; i < n_dims; ++i) {
    ASSIGN_OR_RETURN(const uint64_t dim, reader.ReadU64("dimension"));
    if (dim == 0 || dim > uint64_t{INT64_MAX}) {
      return reader.Error(absl::StrCat("tensor ", Shown(name), ": dimension ", i, " is ", dim));
    }
    tensor.dims.push_back(static_cast<int64_t>(dim));
  }
  ASSIGN_OR_RETURN(const uint32_t type, reader.ReadU32("tensor type"));
  if (!IsKnownGgmlType(type)) {
    return reader.Error(
        absl::StrCat("tensor ", Shown(name), " has type ", type, " (",
                     GgmlTypeName(type).empty() ? "unknown" : GgmlTypeName(type),
                     "), which is not supported; supported: ", KnownGgmlTypeNames()));
  }
  tensor.type = static_cast<GgmlType>(type);
  ASSIGN_OR_RETURN(claim.offset, reader.ReadU64("tensor offset"));
  ASSIGN_OR_RETURN(claim.size, StoredBytes(reader, tensor));
  return absl::OkStatus();
}

}  // namespace

struct GgufFile::Impl {
  absl::Span<const uint8_t> bytes;
  void* map = nullptr;
  size_t map_size = 0;
  std::map<std::string, Value, std::less<>> values;
  std::map<std::string, size_t, std::less<>> tensor_by_name;

  ~Impl() {
    if (map != nullptr) munmap(map, map_size);
  }

  absl::Status Read(std::vector<TensorInfo>& tensors);
  absl::Status ReadKeys(GgufReader& reader, uint64_t count);
  absl::StatusOr<uint64_t> Alignment(const GgufReader& reader) const;
  absl::Status Place(const GgufReader& reader, std::vector<TensorInfo>& tensors,
                     std::vector<Claim> claims);
  absl::StatusOr<const Value*> Find(absl::string_view key) const;
  absl::StatusOr<const Value*> FindArray(absl::string_view key) const;
};

namespace {

absl::Status WrongType(absl::string_view key, const Value& value, absl::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("GGUF key ", Shown(key), " is ", value.TypeName(), ", expected ", wanted));
}

std::string_view Std(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::Status GgufFile::Impl::ReadKeys(GgufReader& reader, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const absl::string_view key, reader.ReadString(kMaxKeyBytes, "key"));
    if (key.empty()) return reader.Error("a key is empty");
    auto value = ReadValue(reader);
    if (!value.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(value.status().message(), " (key ", Shown(key), ")"));
    }
    if (!values.emplace(std::string(key), *value).second) {
      return reader.Error(absl::StrCat("key ", Shown(key), " appears twice"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> GgufFile::Impl::Alignment(const GgufReader& reader) const {
  auto found = values.find("general.alignment");
  if (found == values.end()) return kDefaultAlignment;
  int64_t alignment = 0;
  if (!LoadInt(found->second.type, found->second.bytes.data(), &alignment)) {
    return WrongType("general.alignment", found->second, "an integer");
  }
  const auto value = static_cast<uint64_t>(alignment);
  if (value < 8 || value > kMaxAlignment || !std::has_single_bit(value)) {
    return reader.Error(absl::StrCat("general.alignment is ", alignment,
                                     ", a power of two from 8 to ", kMaxAlignment, " is allowed"));
  }
  return value;
}

absl::Status GgufFile::Impl::Place(const GgufReader& reader, std::vector<TensorInfo>& tensors,
                                   std::vector<Claim> claims) {
  ASSIGN_OR_RETURN(const uint64_t alignment, Alignment(reader));
  const uint64_t data_start = (reader.offset() + alignment - 1) / alignment * alignment;
  const uint64_t available = data_start < bytes.size() ? bytes.size() - data_start : 0;
  for (const Claim& claim : claims) {
    TensorInfo& tensor = tensors[claim.tensor];
    if (claim.offset % alignment != 0) {
      return reader.Error(absl::StrCat("tensor ", Shown(tensor.name), " starts at ", claim.offset,
                                       ", which is no multiple of the alignment ", alignment));
    }
    if (claim.offset > available || claim.size > available - claim.offset) {
      return reader.Error(absl::StrCat("tensor ", Shown(tensor.name), " claims ", claim.size,
                                       " bytes at ", claim.offset, " of ", available,
                                       " bytes of data: the file is truncated or damaged"));
    }
    tensor.data = bytes.subspan(data_start + claim.offset, claim.size);
  }
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.tensor < b.tensor;
  });
  for (size_t i = 1; i < claims.size(); ++i) {
    if (claims[i].offset < claims[i - 1].offset + claims[i - 1].size) {
      return reader.Error(absl::StrCat("tensors ", Shown(tensors[claims[i - 1].tensor].name),
                                       " and ", Shown(tensors[claims[i].tensor].name), " overlap"));
    }
  }
  return absl::OkStatus();
}

absl::Status GgufFile::Impl::Read(std::vector<TensorInfo>& tensors) {
  GgufReader reader(bytes);
  ASSIGN_OR_RETURN(const uint32_t magic, reader.ReadU32("magic number"));
  if (magic != kMagic) return absl::InvalidArgumentError("not a GGUF file: the magic is missing");
  ASSIGN_OR_RETURN(const uint32_t version, reader.ReadU32("version"));
  if (version != 2 && version != 3) {
    const bool swapped = version == 0x02000000 || version == 0x03000000;
    return reader.Error(absl::StrCat("version ", version, " is not supported",
                                     swapped ? " (the file is big-endian)" : "",
                                     "; supported: 2 and 3"));
  }
  ASSIGN_OR_RETURN(const uint64_t tensor_count, reader.ReadU64("tensor count"));
  ASSIGN_OR_RETURN(const uint64_t key_count, reader.ReadU64("key count"));
  if (key_count > kMaxKeys || key_count > reader.left() / kMinKeyBytes) {
    return reader.Error(absl::StrCat("a count of ", key_count, " keys is not credible"));
  }
  if (tensor_count > kMaxTensors || tensor_count > reader.left() / kMinTensorBytes) {
    return reader.Error(absl::StrCat("a count of ", tensor_count, " tensors is not credible"));
  }
  RETURN_IF_ERROR(ReadKeys(reader, key_count));
  if (auto split = values.find("split.count"); split != values.end()) {
    int64_t parts = 0;
    if (!LoadInt(split->second.type, split->second.bytes.data(), &parts)) {
      return WrongType("split.count", split->second, "an integer");
    }
    if (parts > 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the model is split over ", parts, " files; merge them into one GGUF file first"));
    }
  }
  std::vector<Claim> claims(tensor_count);
  tensors.resize(tensor_count);
  for (size_t i = 0; i < tensor_count; ++i) {
    claims[i].tensor = i;
    RETURN_IF_ERROR(ReadTensorInfo(reader, tensors[i], claims[i]));
    if (!tensor_by_name.emplace(tensors[i].name, i).second) {
      return reader.Error(absl::StrCat("tensor ", Shown(tensors[i].name), " appears twice"));
    }
  }
  return Place(reader, tensors, std::move(claims));
}

GgufFile::GgufFile() : impl_(std::make_unique<Impl>()) {}
GgufFile::~GgufFile() = default;

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Parse(absl::Span<const uint8_t> bytes) {
  std::unique_ptr<GgufFile> file(new GgufFile());
  file->impl_->bytes = bytes;
  RETURN_IF_ERROR(file->impl_->Read(file->tensors_));
  return file;
}

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const std::string message = absl::StrCat("cannot open ", path, ": ", std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
  }
  struct stat info;
  std::unique_ptr<GgufFile> file(new GgufFile());
  Impl& impl = *file->impl_;
  const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (regular && info.st_size > 0) {
    impl.map_size = static_cast<size_t>(info.st_size);
    void* map = mmap(nullptr, impl.map_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map != MAP_FAILED) impl.map = map;
  }
  const int map_error = errno;
  close(fd);
  if (!regular) return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  if (info.st_size == 0) return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  if (impl.map == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot map ", path, ": ", std::strerror(map_error)));
  }
  impl.bytes = {static_cast<const uint8_t*>(impl.map), impl.map_size};
  if (absl::Status status = impl.Read(file->tensors_); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  }
  file->path_ = path;
  return file;
}

absl::StatusOr<const Value*> GgufFile::Impl::Find(absl::string_view key) const {
  auto found = values.find(Std(key));
  if (found == values.end()) {
    return absl::NotFoundError(absl::StrCat("the GGUF file has no key ", Shown(key)));
  }
  return &found->second;
}

absl::StatusOr<const Value*> GgufFile::Impl::FindArray(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, Find(key));
  if (value->type != GgufType::kArray) return WrongType(key, *value, "an array");
  return value;
}

bool GgufFile::Has(absl::string_view key) const { return impl_->values.count(Std(key)) > 0; }

absl::StatusOr<int64_t> GgufFile::GetInt(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, impl_->Find(key));
  int64_t result = 0;
  if (!LoadInt(value->type, value->bytes.data(), &result)) {
    return WrongType(key, *value, "an integer that fits in 63 bits");
  }
  return result;
}

absl::StatusOr<double> GgufFile::GetFloat(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, impl_->Find(key));
  double result = 0;
  if (!LoadFloat(value->type, value->bytes.data(), &result)) {
    return WrongType(key, *value, "float32 or float64");
  }
  return result;
}

absl::StatusOr<bool> GgufFile::GetBool(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, impl_->Find(key));
  if (value->type != GgufType::kBool) return WrongType(key, *value, "bool");
  return value->bytes[0] != 0;
}

absl::StatusOr<absl::string_view> GgufFile::GetString(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, impl_->Find(key));
  if (value->type != GgufType::kString) return WrongType(key, *value, "string");
  return absl::string_view(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

absl::StatusOr<std::vector<absl::string_view>> GgufFile::GetStringArray(
    absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, impl_->FindArray(key));
  if (value->element != GgufType::kString) return WrongType(key, *value, "array of string");
  std::vector<absl::string_view> result;
  result.reserve(value->count);
  GgufReader reader(value->bytes);
  for (uint64_t i = 0; i < value->count; ++i) {
    ASSIGN_OR_RETURN(const absl::string_view text, reader.ReadString(kMaxStringBytes, "string"));
    result.push_back(text);
  }
  return result;
}

absl::StatusOr<std::vector<int64_t>> GgufFile::GetIntArray(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, impl_->FindArray(key));
  std::vector<int64_t> result(value->count);
  const auto size = static_cast<size_t>(GgufTypeBytes(value->element));
  for (uint64_t i = 0; i < value->count; ++i) {
    if (!LoadInt(value->element, value->bytes.data() + i * size, &result[i])) {
      return WrongType(key, *value, "array of integers that fit in 63 bits");
    }
  }
  return result;
}

absl::StatusOr<std::vector<float>> GgufFile::GetFloatArray(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, impl_->FindArray(key));
  std::vector<float> result(value->count);
  const auto size = static_cast<size_t>(GgufTypeBytes(value->element));
  for (uint64_t i = 0; i < value->count; ++i) {
    double element = 0;
    if (!LoadFloat(value->element, value->bytes.data() + i * size, &element)) {
      return WrongType(key, *value, "array of float32 or float64");
    }
    result[i] = static_cast<float>(element);
  }
  return result;
}

const TensorInfo* GgufFile::FindTensor(absl::string_view name) const {
  auto found = impl_->tensor_by_name.find(Std(name));
  return found == impl_->tensor_by_name.end() ? nullptr : &tensors_[found->second];
}

}  // namespace scoville::model
