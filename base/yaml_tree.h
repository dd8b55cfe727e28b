// The parsed tree behind YamlDocument: built from yaml-cpp's events, so that what is refused never
// becomes a node. For base/yaml_reader.cc alone.
//
// Ownership: the tree owns its nodes. Threading: one thread. Errors: InvalidArgument with the
// place.
#ifndef SCOVILLE_BASE_YAML_TREE_H_
#define SCOVILLE_BASE_YAML_TREE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/yaml_reader.h"

namespace scoville::internal {

enum class YamlKind : uint8_t { kNull, kScalar, kList, kMap };

struct YamlTreeNode {
  YamlKind kind = YamlKind::kNull;
  bool quoted = false;
  int line = 1;  // both from 1
  int column = 1;
  std::string text;  // of a scalar
  // Elements of a list, or values of a map in the order written.
  std::vector<std::unique_ptr<YamlTreeNode>> children;

  // Maps only, parallel to children.
  struct Key {
    std::string name;
    int line = 1;
    int column = 1;
    bool asked = false;
  };
  std::vector<Key> keys;
  std::map<std::string, size_t, std::less<>> index;
  std::vector<std::string> asked;  // every key anyone asked for, once each
  // Stand-ins for maps that were asked for and are absent.
  std::map<std::string, std::unique_ptr<YamlTreeNode>, std::less<>> absent;
};

struct YamlTree {
  std::string file;
  std::unique_ptr<YamlTreeNode> root;
};

// "file:line:column: path: what" (a root has no path).
absl::Status YamlError(absl::string_view file, int line, int column, absl::string_view path,
                       absl::string_view what);

absl::StatusOr<std::unique_ptr<YamlTree>> ParseYamlTree(absl::string_view text,
                                                        absl::string_view file,
                                                        const YamlLimits& limits);

}  // namespace scoville::internal

#endif  // SCOVILLE_BASE_YAML_TREE_H_
