// Builds GGUF files in memory, well-formed ones and (through the raw calls) malformed ones.
//
// Units: bytes; dims fastest first. Ownership: a value. Threading: one thread. Errors: none;
// nothing is checked, so that tests can write what a reader must refuse.
#ifndef SCOVILLE_TESTS_SUPPORT_GGUF_WRITER_H_
#define SCOVILLE_TESTS_SUPPORT_GGUF_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/gguf/ggml_type.h"
#include "model/gguf/gguf_reader.h"

namespace scoville::tests {

class GgufWriter {
 public:
  void AddUint32(const std::string& key, uint32_t value);
  void AddFloat(const std::string& key, float value);
  void AddBool(const std::string& key, bool value);
  void AddString(const std::string& key, const std::string& value);
  void AddStringArray(const std::string& key, const std::vector<std::string>& values);
  void AddIntArray(const std::string& key, const std::vector<int32_t>& values);
  void AddFloatArray(const std::string& key, const std::vector<float>& values);
  // The value's bytes as they shall stand in the file, after its type.
  void AddRaw(const std::string& key, uint32_t type, const std::vector<uint8_t>& bytes);

  void AddTensor(const std::string& name, model::GgmlType type, const std::vector<uint64_t>& dims,
                 const std::vector<uint8_t>& data);
  // A tensor whose type and place are as said, whether true or not; adds no data.
  void AddRawTensor(const std::string& name, uint32_t type, const std::vector<uint64_t>& dims,
                    uint64_t offset);

  void set_version(uint32_t version) { version_ = version; }
  // Counts that are added to the true ones in the header.
  void set_extra_counts(uint64_t tensors, uint64_t keys) {
    extra_tensors_ = tensors;
    extra_keys_ = keys;
  }

  std::vector<uint8_t> Finish() const;

  static void Put32(std::vector<uint8_t>& out, uint32_t value);
  static void Put64(std::vector<uint8_t>& out, uint64_t value);
  static void PutString(std::vector<uint8_t>& out, const std::string& text);

 private:
  uint32_t version_ = 3;
  uint64_t extra_tensors_ = 0;
  uint64_t extra_keys_ = 0;
  uint64_t keys_ = 0;
  uint64_t tensors_ = 0;
  std::vector<uint8_t> key_bytes_;
  std::vector<uint8_t> info_bytes_;
  std::vector<uint8_t> data_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_GGUF_WRITER_H_
