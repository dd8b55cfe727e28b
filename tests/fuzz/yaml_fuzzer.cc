// Any bytes as a YAML file: an error or a document whose every value can be asked for, never a
// crash, a hang or an exception.
#include <cstddef>
#include <cstdint>

#include "base/yaml_reader.h"

namespace {

void Visit(const scoville::YamlNode& node) {
  (void)node.AsString();
  (void)node.AsBool();
  (void)node.AsInt();
  (void)node.AsDouble();
  (void)node.AsDuration();
  (void)node.AsPower();
  (void)node.AsBytes();
  if (const auto list = node.AsList(); list.ok()) {
    for (const scoville::YamlNode& element : *list) {
      Visit(element);
    }
  }
  if (const auto map = node.AsMap(); map.ok()) {
    for (const std::string& key : map->Keys()) {
      Visit(map->Node(key).value());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto untouched = scoville::YamlDocument::Parse(text, "fuzz.yaml");
  if (!untouched.ok()) {
    return 0;
  }
  (void)untouched->Finish();
  Visit(untouched->RootNode());
  if (!untouched->Finish().ok()) {
    __builtin_trap();  // everything was asked for
  }
  return 0;
}
