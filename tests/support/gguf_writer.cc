#include "tests/support/gguf_writer.h"

#include <bit>

namespace scoville::tests {

using model::GgmlType;
using model::GgufType;

namespace {
constexpr size_t kAlignment = 32;

void PadTo(std::vector<uint8_t>& out, size_t alignment) {
  while (out.size() % alignment != 0) out.push_back(0);
}

std::vector<uint8_t> ArrayHeader(GgufType element, size_t count) {
  std::vector<uint8_t> bytes;
  GgufWriter::Put32(bytes, static_cast<uint32_t>(element));
  GgufWriter::Put64(bytes, count);
  return bytes;
}
}  // namespace

void GgufWriter::Put32(std::vector<uint8_t>& out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void GgufWriter::Put64(std::vector<uint8_t>& out, uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void GgufWriter::PutString(std::vector<uint8_t>& out, const std::string& text) {
  Put64(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

void GgufWriter::AddRaw(const std::string& key, uint32_t type, const std::vector<uint8_t>& bytes) {
  PutString(key_bytes_, key);
  Put32(key_bytes_, type);
  key_bytes_.insert(key_bytes_.end(), bytes.begin(), bytes.end());
  ++keys_;
}

void GgufWriter::AddUint32(const std::string& key, uint32_t value) {
  std::vector<uint8_t> bytes;
  Put32(bytes, value);
  AddRaw(key, static_cast<uint32_t>(GgufType::kUint32), bytes);
}

void GgufWriter::AddFloat(const std::string& key, float value) {
  std::vector<uint8_t> bytes;
  Put32(bytes, std::bit_cast<uint32_t>(value));
  AddRaw(key, static_cast<uint32_t>(GgufType::kFloat32), bytes);
}

void GgufWriter::AddBool(const std::string& key, bool value) {
  AddRaw(key, static_cast<uint32_t>(GgufType::kBool), {static_cast<uint8_t>(value ? 1 : 0)});
}

void GgufWriter::AddString(const std::string& key, const std::string& value) {
  std::vector<uint8_t> bytes;
  PutString(bytes, value);
  AddRaw(key, static_cast<uint32_t>(GgufType::kString), bytes);
}

void GgufWriter::AddStringArray(const std::string& key, const std::vector<std::string>& values) {
  std::vector<uint8_t> bytes = ArrayHeader(GgufType::kString, values.size());
  for (const std::string& value : values) PutString(bytes, value);
  AddRaw(key, static_cast<uint32_t>(GgufType::kArray), bytes);
}

void GgufWriter::AddIntArray(const std::string& key, const std::vector<int32_t>& values) {
  std::vector<uint8_t> bytes = ArrayHeader(GgufType::kInt32, values.size());
  for (int32_t value : values) Put32(bytes, static_cast<uint32_t>(value));
  AddRaw(key, static_cast<uint32_t>(GgufType::kArray), bytes);
}

void GgufWriter::AddFloatArray(const std::string& key, const std::vector<float>& values) {
  std::vector<uint8_t> bytes = ArrayHeader(GgufType::kFloat32, values.size());
  for (float value : values) Put32(bytes, std::bit_cast<uint32_t>(value));
  AddRaw(key, static_cast<uint32_t>(GgufType::kArray), bytes);
}

void GgufWriter::AddRawTensor(const std::string& name, uint32_t type,
                              const std::vector<uint64_t>& dims, uint64_t offset) {
  PutString(info_bytes_, name);
  Put32(info_bytes_, static_cast<uint32_t>(dims.size()));
  for (uint64_t dim : dims) Put64(info_bytes_, dim);
  Put32(info_bytes_, type);
  Put64(info_bytes_, offset);
  ++tensors_;
}

void GgufWriter::AddTensor(const std::string& name, GgmlType type,
                           const std::vector<uint64_t>& dims, const std::vector<uint8_t>& data) {
  PadTo(data_, kAlignment);
  AddRawTensor(name, static_cast<uint32_t>(type), dims, data_.size());
  data_.insert(data_.end(), data.begin(), data.end());
}

std::vector<uint8_t> GgufWriter::Finish() const {
  std::vector<uint8_t> out = {'G', 'G', 'U', 'F'};
  Put32(out, version_);
  Put64(out, tensors_ + extra_tensors_);
  Put64(out, keys_ + extra_keys_);
  out.insert(out.end(), key_bytes_.begin(), key_bytes_.end());
  out.insert(out.end(), info_bytes_.begin(), info_bytes_.end());
  PadTo(out, kAlignment);
  out.insert(out.end(), data_.begin(), data_.end());
  PadTo(out, kAlignment);
  return out;
}

}  // namespace scoville::tests
