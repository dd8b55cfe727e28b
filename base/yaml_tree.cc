#include "base/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <exception>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::internal {

namespace {

// Builds the tree and keeps the first error; after one, events are ignored (the size bound limits
// how many there can be).
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(absl::string_view file, const YamlLimits& limits) : file_(file), limits_(limits) {}

  absl::Status status() const { return status_; }
  std::unique_ptr<YamlTreeNode> TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (Refuses(mark, "", anchor)) {
      return;
    }
    if (ExpectsKey()) {
      Fail(mark, "a key must be text, this one is null");
      return;
    }
    Attach(mark, YamlKind::kNull);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "aliases (*name) are not allowed here; write the value out");
  }

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    Fail(mark, absl::StrCat("anchors (&", name, ") are not allowed here; write the value out"));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (Refuses(mark, tag, anchor)) {
      return;
    }
    if (ExpectsKey()) {
      AddKey(mark, value);
      return;
    }
    YamlTreeNode* node = Attach(mark, YamlKind::kScalar);
    if (node != nullptr) {
      node->text = value;
      node->quoted = tag == "!";
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlKind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlKind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  void Fail(const YAML::Mark& mark, absl::string_view what) {
    if (status_.ok()) {
      status_ = YamlError(file_, mark.line + 1, mark.column + 1, "", what);
    }
  }

  // True if nothing more is to be built, because of an earlier error or of this node's own.
  bool Refuses(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      Fail(mark, "anchors (&name) are not allowed here; write the value out");
    } else if (!tag.empty() && tag != "?" && tag != "!") {
      Fail(mark, absl::StrCat("tags (", tag, ") are not allowed here"));
    }
    return !status_.ok();
  }

  // In a map, keys and values alternate: one more key than values means a value is due.
  bool ExpectsKey() const {
    if (open_.empty() || open_.back()->kind != YamlKind::kMap) {
      return false;
    }
    return open_.back()->keys.size() == open_.back()->children.size();
  }

  void AddKey(const YAML::Mark& mark, const std::string& name) {
    YamlTreeNode* map = open_.back();
    const auto [it, inserted] = map->index.emplace(name, map->keys.size());
    if (!inserted) {
      Fail(mark, absl::StrCat("key '", name, "' is written twice, first in line ",
                              map->keys[it->second].line));
      return;
    }
    map->keys.push_back({name, mark.line + 1, mark.column + 1, false});
  }

  YamlTreeNode* Attach(const YAML::Mark& mark, YamlKind kind) {
    if (++nodes_ > limits_.nodes) {
      Fail(mark, absl::StrCat("more than ", limits_.nodes, " values in one file"));
      return nullptr;
    }
    auto node = std::make_unique<YamlTreeNode>();
    node->kind = kind;
    node->line = mark.line + 1;
    node->column = mark.column + 1;
    YamlTreeNode* raw = node.get();
    if (open_.empty()) {
      root_ = std::move(node);
    } else {
      open_.back()->children.push_back(std::move(node));
    }
    return raw;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlKind kind) {
    if (Refuses(mark, tag, anchor)) {
      return;
    }
    if (ExpectsKey()) {
      Fail(mark, "a key must be text, this one is a list or a mapping");
      return;
    }
    if (open_.size() >= static_cast<size_t>(limits_.depth)) {
      Fail(mark, absl::StrCat("nested deeper than ", limits_.depth, " levels"));
      return;
    }
    YamlTreeNode* node = Attach(mark, kind);
    if (node != nullptr) {
      open_.push_back(node);
    }
  }

  void Close() {
    if (status_.ok()) {
      open_.pop_back();
    }
  }

  const absl::string_view file_;
  const YamlLimits limits_;
  absl::Status status_;
  std::unique_ptr<YamlTreeNode> root_;
  std::vector<YamlTreeNode*> open_;
  size_t nodes_ = 0;
};

// Runs yaml-cpp, whose exceptions end here.
absl::Status RunParser(absl::string_view text, absl::string_view file, TreeBuilder* builder) {
  try {
    // yaml-cpp takes a quote that is never closed as closed by the last newline; it does not when
    // an end-of-document mark stands there.
    std::istringstream stream{
        absl::StrCat(text, text.empty() || text.back() == '\n' ? "" : "\n", "...\n")};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(*builder)) {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(builder->status());
    TreeBuilder second(file, YamlLimits{});
    if (parser.HandleNextDocument(second)) {
      return YamlError(file, 1, 1, "", "more than one document in the file; remove the '---' line");
    }
    return absl::OkStatus();
  } catch (const YAML::Exception& e) {
    // An error without a place has a mark of -1.
    return YamlError(file, e.mark.line < 0 ? 1 : e.mark.line + 1,
                     e.mark.column < 0 ? 1 : e.mark.column + 1, "",
                     absl::StrCat("not valid YAML: ", e.msg));
  } catch (const std::exception& e) {
    return YamlError(file, 1, 1, "", absl::StrCat("not valid YAML: ", e.what()));
  }
}

}  // namespace

absl::Status YamlError(absl::string_view file, int line, int column, absl::string_view path,
                       absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(file, ":", line, ":", column, ": ", path, path.empty() ? "" : ": ", what));
}

absl::StatusOr<std::unique_ptr<YamlTree>> ParseYamlTree(absl::string_view text,
                                                        absl::string_view file,
                                                        const YamlLimits& limits) {
  if (text.size() > limits.bytes) {
    return YamlError(file, 1, 1, "",
                     absl::StrCat("the file has ", text.size(), " bytes, more than the ",
                                  limits.bytes, " allowed"));
  }
  auto tree = std::make_unique<YamlTree>();
  tree->file = std::string(file);
  TreeBuilder builder(tree->file, limits);
  const absl::Status parsed = RunParser(text, tree->file, &builder);
  RETURN_IF_ERROR(builder.status());
  RETURN_IF_ERROR(parsed);
  tree->root = builder.TakeRoot();
  if (tree->root == nullptr) {
    tree->root = std::make_unique<YamlTreeNode>();
  }
  if (tree->root->kind == YamlKind::kNull) {
    tree->root->kind = YamlKind::kMap;
  }
  return tree;
}

}  // namespace scoville::internal
