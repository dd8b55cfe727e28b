// Walks the bytes of a GGUF file; every step checks that the bytes are there.
//
// Units: bytes from the start of the file. Ownership: borrows the bytes. Threading: one thread.
// Errors: kInvalidArgument naming the offset, what was being read and how much was missing.
#ifndef SCOVILLE_MODEL_GGUF_GGUF_READER_H_
#define SCOVILLE_MODEL_GGUF_GGUF_READER_H_

#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace scoville::model {

// Metadata value types, numbers as in the specification.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

absl::string_view GgufTypeName(GgufType type);
// Bytes of a value of fixed size; 0 for strings, arrays and unknown numbers.
int64_t GgufTypeBytes(GgufType type);

// Little-endian loads from memory of any alignment.
template <typename T>
T LoadLittleEndian(const uint8_t* p) {
  static_assert(std::is_unsigned_v<T>);
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<T>(p[i]) << (8 * i));
  return value;
}

class GgufReader {
 public:
  explicit GgufReader(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  uint64_t offset() const { return offset_; }
  uint64_t left() const { return bytes_.size() - offset_; }

  absl::StatusOr<uint8_t> ReadU8(absl::string_view what);
  absl::StatusOr<uint32_t> ReadU32(absl::string_view what);
  absl::StatusOr<uint64_t> ReadU64(absl::string_view what);
  // A view of the next `size` bytes.
  absl::StatusOr<absl::Span<const uint8_t>> ReadBytes(uint64_t size, absl::string_view what);
  // A 64-bit length and as many bytes; at most `longest`.
  absl::StatusOr<absl::string_view> ReadString(uint64_t longest, absl::string_view what);

  // An error at the current offset.
  absl::Status Error(absl::string_view message) const;

 private:
  absl::Status Missing(uint64_t size, absl::string_view what) const;

  absl::Span<const uint8_t> bytes_;
  uint64_t offset_ = 0;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GGUF_GGUF_READER_H_
