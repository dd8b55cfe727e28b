// Strict reading of YAML files that people write: configuration, device profiles, scenarios.
//
// Narrower than YAML on purpose: one document, mappings with text keys, sequences and scalars; no
// anchors, aliases, tags or duplicate keys; bounded size, depth and number of nodes. Each value is
// asked for by name and type; Finish() then refuses every key nobody asked for, with the nearest
// one that was.
//
//   ASSIGN_OR_RETURN(YamlDocument doc, YamlDocument::Load(path));
//   ASSIGN_OR_RETURN(YamlMap root, doc.Root());
//   RETURN_IF_ERROR(root.Read("listen", &config.listen));           // optional, default kept
//   RETURN_IF_ERROR(root.Require("devices", &config.devices, YamlIntRange{1, 4096}));
//   ASSIGN_OR_RETURN(YamlMap limits, root.MapOrEmpty("limits"));
//   ASSIGN_OR_RETURN(std::vector<YamlNode> list, root.List("pools"));
//   RETURN_IF_ERROR(doc.Finish());
//
// Units: Duration, Power and Bytes need a written unit (base/quantity.h).
// Ownership: the document owns the tree; nodes and maps borrow it and must not outlive it.
// Threading: one thread (asking marks a key as known). Errors: InvalidArgument,
// "file:line:column: path: what, what is allowed, a hint"; Load adds NotFound for a missing file.
#ifndef SCOVILLE_BASE_YAML_READER_H_
#define SCOVILLE_BASE_YAML_READER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/units.h"

namespace scoville {

// Bounds of a document. A file beyond them is refused before or while it is parsed.
struct YamlLimits {
  size_t bytes = 1 << 20;
  int depth = 32;
  size_t nodes = 100'000;
};

struct YamlIntRange {
  int64_t low = std::numeric_limits<int64_t>::min();
  int64_t high = std::numeric_limits<int64_t>::max();
};

struct YamlDoubleRange {
  double low = -std::numeric_limits<double>::max();
  double high = std::numeric_limits<double>::max();  // infinity allows .inf
};

namespace internal {
struct YamlTree;
struct YamlTreeNode;
}  // namespace internal

class YamlMap;

// One value of the document: where it stands and what it can be read as.
class YamlNode {
 public:
  bool is_map() const;
  bool is_list() const;
  bool is_scalar() const;
  bool is_null() const;
  // A scalar in quotes is text, never a number or a bool.
  bool is_quoted() const;
  // The path as it is written in errors: "devices[2].cap"; empty at the root.
  const std::string& path() const { return path_; }
  int line() const;
  int column() const;

  absl::StatusOr<YamlMap> AsMap() const;
  absl::StatusOr<std::vector<YamlNode>> AsList() const;
  absl::StatusOr<std::string> AsString() const;
  absl::StatusOr<bool> AsBool() const;
  absl::StatusOr<int64_t> AsInt(YamlIntRange range = {}) const;
  absl::StatusOr<double> AsDouble(YamlDoubleRange range = {}) const;
  absl::StatusOr<Duration> AsDuration() const;
  absl::StatusOr<Power> AsPower() const;
  absl::StatusOr<Bytes> AsBytes() const;
  // The index in `allowed` of the text written.
  absl::StatusOr<size_t> AsChoice(absl::Span<const std::string> allowed) const;

  // An error that points here, for what only the caller can judge.
  absl::Status Error(absl::string_view what) const;

 private:
  friend class YamlMap;
  friend class YamlDocument;
  YamlNode(const internal::YamlTree* tree, internal::YamlTreeNode* node, std::string path)
      : tree_(tree), node_(node), path_(std::move(path)) {}
  absl::Status WrongKind(absl::string_view wanted) const;
  // The text of a plain scalar, or an error that says what was wanted.
  absl::StatusOr<absl::string_view> Plain(absl::string_view wanted) const;

  const internal::YamlTree* tree_;
  internal::YamlTreeNode* node_;
  std::string path_;
};

// A mapping. Asking for a key makes it known, whether it is there or not.
class YamlMap {
 public:
  // True if the key is written; a null value is, and every Read refuses it.
  bool Has(absl::string_view key) const;

  // Optional: *out stays as it is when the key is absent.
  absl::Status Read(absl::string_view key, std::string* out) const;
  absl::Status Read(absl::string_view key, bool* out) const;
  absl::Status Read(absl::string_view key, int64_t* out, YamlIntRange range = {}) const;
  absl::Status Read(absl::string_view key, double* out, YamlDoubleRange range = {}) const;
  absl::Status Read(absl::string_view key, Duration* out) const;
  absl::Status Read(absl::string_view key, Power* out) const;
  absl::Status Read(absl::string_view key, Bytes* out) const;
  absl::Status ReadChoice(absl::string_view key, absl::Span<const std::string> allowed,
                          size_t* out) const;

  // The same for a key that must be there.
  template <typename T, typename... Args>
  absl::Status Require(absl::string_view key, T* out, Args... args) const {
    absl::Status present = CheckPresent(key);
    return present.ok() ? Read(key, out, args...) : present;
  }
  absl::Status RequireChoice(absl::string_view key, absl::Span<const std::string> allowed,
                             size_t* out) const;

  absl::StatusOr<YamlNode> Node(absl::string_view key) const;       // required
  absl::StatusOr<YamlMap> Map(absl::string_view key) const;         // required
  absl::StatusOr<YamlMap> MapOrEmpty(absl::string_view key) const;  // an absent one has no keys
  absl::StatusOr<std::vector<YamlNode>> List(
      absl::string_view key) const;  // an absent one is empty

  // All keys in the order written, for mappings whose keys are the user's names. Asking for a value
  // by such a key makes it known as any other.
  std::vector<std::string> Keys() const;

  // An error that points at the value of `key`, or at the mapping if the key is absent.
  absl::Status Error(absl::string_view key, absl::string_view what) const;
  const YamlNode& node() const { return node_; }

  // Refuses keys, here and below, that nobody asked for.
  absl::Status Finish() const;
  // The same for this mapping's own keys only: for a schema whose keys are all asked for (Has)
  // before any is read, so that a mistyped key is not reported as a missing one.
  absl::Status FinishKeys() const;

 private:
  friend class YamlNode;
  explicit YamlMap(YamlNode node) : node_(std::move(node)) {}
  absl::Status CheckPresent(absl::string_view key) const;
  // The child, or null when absent; makes the key known.
  internal::YamlTreeNode* Ask(absl::string_view key) const;
  YamlNode Child(absl::string_view key, internal::YamlTreeNode* child) const;
  template <typename T, typename Getter>
  absl::Status ReadWith(absl::string_view key, T* out, Getter getter) const;

  YamlNode node_;
};

class YamlDocument {
 public:
  // `file` names the text in errors.
  static absl::StatusOr<YamlDocument> Parse(absl::string_view text, absl::string_view file,
                                            const YamlLimits& limits = {});
  static absl::StatusOr<YamlDocument> Load(absl::string_view path, const YamlLimits& limits = {});

  YamlDocument(YamlDocument&&) noexcept;
  YamlDocument& operator=(YamlDocument&&) noexcept;
  ~YamlDocument();

  YamlNode RootNode() const;
  // The root as a mapping; an empty file is an empty mapping.
  absl::StatusOr<YamlMap> Root() const;
  // Refuses every key of the document that nobody asked for.
  absl::Status Finish() const;

 private:
  explicit YamlDocument(std::unique_ptr<internal::YamlTree> tree);
  std::unique_ptr<internal::YamlTree> tree_;
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_YAML_READER_H_
