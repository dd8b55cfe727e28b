// A GGUF file, memory-mapped and checked: metadata by key, tensors by name.
//
// Every count, length and offset in the file is a claim and is checked against the bytes that are
// there before anything is allocated or read. Versions 2 and 3, little-endian.
//
// Units: bytes; dims count values, fastest first (dims[0] is the row length).
// Ownership: the object owns the map (or borrows the bytes given to Parse); all views live as long
// as it does. Threading: immutable after Open. Errors: kNotFound for a missing file or key,
// kInvalidArgument with the offset and the offending value otherwise.
#ifndef SCOVILLE_MODEL_GGUF_GGUF_FILE_H_
#define SCOVILLE_MODEL_GGUF_GGUF_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/gguf/ggml_type.h"

namespace scoville::model {

struct TensorInfo {
  std::string name;
  GgmlType type;
  std::vector<int64_t> dims;  // 1 to 4, fastest first
  absl::Span<const uint8_t> data;

  int64_t row_length() const { return dims[0]; }
  int64_t rows() const {
    int64_t n = 1;
    for (size_t i = 1; i < dims.size(); ++i) n *= dims[i];
    return n;
  }
};

class GgufFile {
 public:
  static absl::StatusOr<std::unique_ptr<GgufFile>> Open(const std::string& path);
  // Borrows `bytes`; for tests and fuzzing.
  static absl::StatusOr<std::unique_ptr<GgufFile>> Parse(absl::Span<const uint8_t> bytes);
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  // The path given to Open; empty for Parse.
  const std::string& path() const { return path_; }

  bool Has(absl::string_view key) const;
  // Any integer type of the file is accepted where it fits; a wrong type is kInvalidArgument naming
  // the key and both types.
  absl::StatusOr<int64_t> GetInt(absl::string_view key) const;
  absl::StatusOr<double> GetFloat(absl::string_view key) const;
  absl::StatusOr<bool> GetBool(absl::string_view key) const;
  absl::StatusOr<absl::string_view> GetString(absl::string_view key) const;
  absl::StatusOr<std::vector<absl::string_view>> GetStringArray(absl::string_view key) const;
  absl::StatusOr<std::vector<int64_t>> GetIntArray(absl::string_view key) const;
  absl::StatusOr<std::vector<float>> GetFloatArray(absl::string_view key) const;

  // In the file's order.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // nullptr if there is none.
  const TensorInfo* FindTensor(absl::string_view name) const;

 private:
  GgufFile();
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::string path_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GGUF_GGUF_FILE_H_
