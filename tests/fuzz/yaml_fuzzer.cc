// Any bytes as a YAML file: an error or a document whose every value can be asked for, never a
// crash, a hang or an exception.
#include <cstdint>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "base/yaml_reader.h"
#include "tests/fuzz/fuzz_target.h"

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

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto untouched = YamlDocument::Parse(text, "fuzz.yaml");
  if (!untouched.ok()) {
    return;
  }
  (void)untouched->Finish();
  Visit(untouched->RootNode());
  CHECK(untouched->Finish().ok());  // everything was asked for
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (const absl::string_view text :
       {"a: 1\nb: [1, 2.5, x, \"y\"]\nc: {d: 30s, e: 250W, f: 512MiB}\n",
        "- true\n- null\n- ~\n- .inf\n- 'a''b'\n- |\n  block\n  text\n", "? [k]\n: v\n",
        "a: &x 1\nb: *x\n", "--- 1\n--- 2\n", "\"\\u263A\": \"\\x00\"\n"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}

}  // namespace scoville::tests
