#include "base/yaml_reader.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/charconv.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "base/quantity.h"
#include "base/status_macros.h"
#include "base/yaml_tree.h"

namespace scoville {

using internal::YamlError;
using internal::YamlKind;
using internal::YamlTree;
using internal::YamlTreeNode;

namespace {

absl::string_view KindName(const YamlTreeNode& node) {
  switch (node.kind) {
    case YamlKind::kNull:
      return "nothing (null)";
    case YamlKind::kScalar:
      return node.quoted ? "text in quotes" : "a single value";
    case YamlKind::kList:
      return "a list";
    case YamlKind::kMap:
      return "a mapping";
  }
  return "?";
}

std::string JoinPath(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

// A text as it is quoted in an error: cut, so that a hostile file does not fill the log.
std::string Quote(absl::string_view text) {
  constexpr size_t kLongest = 80;
  return text.size() <= kLongest ? absl::StrCat("'", text, "'")
                                 : absl::StrCat("'", text.substr(0, kLongest), "…'");
}

// Refuses unasked keys of the mapping `node` itself.
absl::Status CheckKeys(const YamlTree& tree, const YamlTreeNode& node, absl::string_view path) {
  for (const YamlTreeNode::Key& key : node.keys) {
    if (key.asked) {
      continue;
    }
    std::vector<std::string> known = node.asked;
    std::sort(known.begin(), known.end());
    std::string hint = DidYouMean(key.name, known);
    if (hint.empty() && !known.empty()) {
      hint = absl::StrCat("; known: ", absl::StrJoin(known, ", "));
    }
    return YamlError(tree.file, key.line, key.column, path,
                     absl::StrCat("unknown key ", Quote(key.name), hint));
  }
  return absl::OkStatus();
}

// Refuses unasked keys of `node` and of everything below it.
absl::Status CheckTree(const YamlTree& tree, const YamlTreeNode& node, const std::string& path) {
  RETURN_IF_ERROR(CheckKeys(tree, node, path));
  for (size_t i = 0; i < node.children.size(); ++i) {
    const std::string child_path = node.kind == YamlKind::kMap ? JoinPath(path, node.keys[i].name)
                                                               : absl::StrCat(path, "[", i, "]");
    RETURN_IF_ERROR(CheckTree(tree, *node.children[i], child_path));
  }
  return absl::OkStatus();
}

}  // namespace

bool YamlNode::is_map() const { return node_->kind == YamlKind::kMap; }
bool YamlNode::is_list() const { return node_->kind == YamlKind::kList; }
bool YamlNode::is_scalar() const { return node_->kind == YamlKind::kScalar; }
bool YamlNode::is_null() const { return node_->kind == YamlKind::kNull; }
bool YamlNode::is_quoted() const { return node_->quoted; }
int YamlNode::line() const { return node_->line; }
int YamlNode::column() const { return node_->column; }

absl::Status YamlNode::Error(absl::string_view what) const {
  return YamlError(tree_->file, node_->line, node_->column, path_, what);
}

absl::Status YamlNode::WrongKind(absl::string_view wanted) const {
  return Error(absl::StrCat("expected ", wanted, ", found ", KindName(*node_),
                            is_null() ? "; leave the key out for its default" : ""));
}

absl::StatusOr<absl::string_view> YamlNode::Plain(absl::string_view wanted) const {
  if (!is_scalar() || is_quoted()) {
    return WrongKind(wanted);
  }
  return absl::string_view(node_->text);
}

absl::StatusOr<YamlMap> YamlNode::AsMap() const {
  if (!is_map()) {
    return WrongKind("a mapping");
  }
  return YamlMap(*this);
}

absl::StatusOr<std::vector<YamlNode>> YamlNode::AsList() const {
  if (!is_list()) {
    return WrongKind("a list");
  }
  std::vector<YamlNode> list;
  list.reserve(node_->children.size());
  for (size_t i = 0; i < node_->children.size(); ++i) {
    list.push_back(YamlNode(tree_, node_->children[i].get(), absl::StrCat(path_, "[", i, "]")));
  }
  return list;
}

absl::StatusOr<std::string> YamlNode::AsString() const {
  if (!is_scalar()) {
    return WrongKind("text");
  }
  return node_->text;
}

absl::StatusOr<bool> YamlNode::AsBool() const {
  ASSIGN_OR_RETURN(const absl::string_view text, Plain("true or false"));
  if (text != "true" && text != "false") {
    return Error(absl::StrCat("expected true or false, found ", Quote(text)));
  }
  return text == "true";
}

absl::StatusOr<int64_t> YamlNode::AsInt(YamlIntRange range) const {
  ASSIGN_OR_RETURN(const absl::string_view text, Plain("a whole number"));
  const absl::string_view digits = text.substr(text.empty() || text[0] != '-' ? 0 : 1);
  int64_t value = 0;
  if (digits.empty() || digits.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(text, &value)) {
    return Error(absl::StrCat("expected a whole number, found ", Quote(text)));
  }
  if (value < range.low || value > range.high) {
    return Error(absl::StrCat(value, " is out of range, allowed ", range.low, " to ", range.high));
  }
  return value;
}

absl::StatusOr<double> YamlNode::AsDouble(YamlDoubleRange range) const {
  ASSIGN_OR_RETURN(const absl::string_view text, Plain("a number"));
  double value = 0;
  if (text == ".inf" && std::isinf(range.high)) {
    return std::numeric_limits<double>::infinity();
  }
  const char* end = text.data() + text.size();
  const absl::from_chars_result parsed = absl::from_chars(text.data(), end, value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value)) {
    return Error(absl::StrCat("expected a number, found ", Quote(text)));
  }
  if (value < range.low || value > range.high) {
    return Error(absl::StrCat(value, " is out of range, allowed ", range.low, " to ", range.high));
  }
  return value;
}

absl::StatusOr<Duration> YamlNode::AsDuration() const {
  ASSIGN_OR_RETURN(const absl::string_view text, Plain("a duration such as 30s or 1.5ms"));
  absl::StatusOr<Duration> value = ParseDuration(text);
  return value.ok() ? value : Error(value.status().message());
}

absl::StatusOr<Power> YamlNode::AsPower() const {
  ASSIGN_OR_RETURN(const absl::string_view text, Plain("a power such as 250W"));
  absl::StatusOr<Power> value = ParsePower(text);
  return value.ok() ? value : Error(value.status().message());
}

absl::StatusOr<Bytes> YamlNode::AsBytes() const {
  ASSIGN_OR_RETURN(const absl::string_view text, Plain("a size such as 512MiB"));
  absl::StatusOr<Bytes> value = ParseBytes(text);
  return value.ok() ? value : Error(value.status().message());
}

absl::StatusOr<size_t> YamlNode::AsChoice(absl::Span<const std::string> allowed) const {
  ASSIGN_OR_RETURN(const std::string text, AsString());
  const auto it = std::find(allowed.begin(), allowed.end(), text);
  if (it == allowed.end()) {
    return Error(absl::StrCat("unknown value ", Quote(text), ", allowed ",
                              absl::StrJoin(allowed, ", "), DidYouMean(text, allowed)));
  }
  return static_cast<size_t>(it - allowed.begin());
}

YamlTreeNode* YamlMap::Ask(absl::string_view key) const {
  YamlTreeNode* map = node_.node_;
  const auto it = map->index.find(key);
  if (it != map->index.end()) {
    YamlTreeNode::Key& entry = map->keys[it->second];
    if (!entry.asked) {
      entry.asked = true;
      map->asked.push_back(entry.name);
    }
    return map->children[it->second].get();
  }
  if (std::find(map->asked.begin(), map->asked.end(), key) == map->asked.end()) {
    map->asked.push_back(std::string(key));
  }
  return nullptr;
}

YamlNode YamlMap::Child(absl::string_view key, YamlTreeNode* child) const {
  return YamlNode(node_.tree_, child, JoinPath(node_.path_, key));
}

bool YamlMap::Has(absl::string_view key) const { return Ask(key) != nullptr; }

absl::Status YamlMap::CheckPresent(absl::string_view key) const {
  if (Ask(key) == nullptr) {
    return node_.Error(absl::StrCat("the key '", key, "' is missing"));
  }
  return absl::OkStatus();
}

template <typename T, typename Getter>
absl::Status YamlMap::ReadWith(absl::string_view key, T* out, Getter getter) const {
  YamlTreeNode* child = Ask(key);
  if (child == nullptr) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(*out, getter(Child(key, child)));
  return absl::OkStatus();
}

absl::Status YamlMap::Read(absl::string_view key, std::string* out) const {
  return ReadWith(key, out, [](const YamlNode& n) { return n.AsString(); });
}
absl::Status YamlMap::Read(absl::string_view key, bool* out) const {
  return ReadWith(key, out, [](const YamlNode& n) { return n.AsBool(); });
}
absl::Status YamlMap::Read(absl::string_view key, int64_t* out, YamlIntRange range) const {
  return ReadWith(key, out, [range](const YamlNode& n) { return n.AsInt(range); });
}
absl::Status YamlMap::Read(absl::string_view key, double* out, YamlDoubleRange range) const {
  return ReadWith(key, out, [range](const YamlNode& n) { return n.AsDouble(range); });
}
absl::Status YamlMap::Read(absl::string_view key, Duration* out) const {
  return ReadWith(key, out, [](const YamlNode& n) { return n.AsDuration(); });
}
absl::Status YamlMap::Read(absl::string_view key, Power* out) const {
  return ReadWith(key, out, [](const YamlNode& n) { return n.AsPower(); });
}
absl::Status YamlMap::Read(absl::string_view key, Bytes* out) const {
  return ReadWith(key, out, [](const YamlNode& n) { return n.AsBytes(); });
}
absl::Status YamlMap::ReadChoice(absl::string_view key, absl::Span<const std::string> allowed,
                                 size_t* out) const {
  return ReadWith(key, out, [allowed](const YamlNode& n) { return n.AsChoice(allowed); });
}
absl::Status YamlMap::RequireChoice(absl::string_view key, absl::Span<const std::string> allowed,
                                    size_t* out) const {
  RETURN_IF_ERROR(CheckPresent(key));
  return ReadChoice(key, allowed, out);
}

absl::StatusOr<YamlNode> YamlMap::Node(absl::string_view key) const {
  RETURN_IF_ERROR(CheckPresent(key));
  return Child(key, Ask(key));
}

absl::StatusOr<YamlMap> YamlMap::Map(absl::string_view key) const {
  ASSIGN_OR_RETURN(const YamlNode node, Node(key));
  return node.AsMap();
}

absl::StatusOr<YamlMap> YamlMap::MapOrEmpty(absl::string_view key) const {
  YamlTreeNode* child = Ask(key);
  if (child == nullptr) {
    auto [it, inserted] = node_.node_->absent.try_emplace(std::string(key));
    if (inserted) {
      it->second = std::make_unique<YamlTreeNode>();
      it->second->kind = YamlKind::kMap;
      it->second->line = node_.line();
      it->second->column = node_.column();
    }
    child = it->second.get();
  }
  return Child(key, child).AsMap();
}

absl::StatusOr<std::vector<YamlNode>> YamlMap::List(absl::string_view key) const {
  YamlTreeNode* child = Ask(key);
  if (child == nullptr) {
    return std::vector<YamlNode>();
  }
  return Child(key, child).AsList();
}

std::vector<std::string> YamlMap::Keys() const {
  std::vector<std::string> keys;
  for (const YamlTreeNode::Key& key : node_.node_->keys) {
    keys.push_back(key.name);
  }
  return keys;
}

absl::Status YamlMap::Error(absl::string_view key, absl::string_view what) const {
  YamlTreeNode* child = Ask(key);
  return child == nullptr ? YamlError(node_.tree_->file, node_.line(), node_.column(),
                                      JoinPath(node_.path_, key), what)
                          : Child(key, child).Error(what);
}

absl::Status YamlMap::Finish() const { return CheckTree(*node_.tree_, *node_.node_, node_.path_); }

absl::Status YamlMap::FinishKeys() const {
  return CheckKeys(*node_.tree_, *node_.node_, node_.path_);
}

YamlDocument::YamlDocument(std::unique_ptr<YamlTree> tree) : tree_(std::move(tree)) {}
YamlDocument::YamlDocument(YamlDocument&&) noexcept = default;
YamlDocument& YamlDocument::operator=(YamlDocument&&) noexcept = default;
YamlDocument::~YamlDocument() = default;

absl::StatusOr<YamlDocument> YamlDocument::Parse(absl::string_view text, absl::string_view file,
                                                 const YamlLimits& limits) {
  ASSIGN_OR_RETURN(std::unique_ptr<YamlTree> tree, internal::ParseYamlTree(text, file, limits));
  return YamlDocument(std::move(tree));
}

absl::StatusOr<YamlDocument> YamlDocument::Load(absl::string_view path, const YamlLimits& limits) {
  std::ifstream file{std::string(path), std::ios::binary};
  if (!file) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  }
  // One byte more than allowed is enough to know that it is too large.
  std::string text(limits.bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be read; is it a file?"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return Parse(text, path, limits);
}

YamlNode YamlDocument::RootNode() const { return YamlNode(tree_.get(), tree_->root.get(), ""); }

absl::StatusOr<YamlMap> YamlDocument::Root() const { return RootNode().AsMap(); }

absl::Status YamlDocument::Finish() const { return CheckTree(*tree_, *tree_->root, ""); }

}  // namespace scoville
