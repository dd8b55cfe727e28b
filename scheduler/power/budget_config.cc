#include "scheduler/power/budget_config.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

constexpr char kRootName[] = "fleet";
// Sums of so many stay far from the end of int64.
constexpr Power kMostWatts = Power(int64_t{1} << 40);

std::vector<std::string> LevelNames() { return {"tray", "rack", "row", "fleet"}; }

// What stands unquoted in a file, a message and a label.
bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

// Which node has a device, so far.
using Owners = std::map<uint32_t, std::string>;

// "7" or "4-7".
absl::Status ReadDevices(const YamlNode& node, const Owners& owners, BudgetNodeSpec* spec) {
  ASSIGN_OR_RETURN(const std::string text, node.AsString());
  const std::vector<absl::string_view> ends = absl::StrSplit(text, absl::MaxSplits('-', 1));
  int64_t first = 0;
  int64_t last = 0;
  if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last) ||
      first < 0 || last < first || last >= static_cast<int64_t>(BudgetTree::kMaxDevices)) {
    return node.Error(absl::StrCat("'", text, "' is neither a device's number nor a range like 4-7",
                                   " (numbers are 0 to ", BudgetTree::kMaxDevices - 1, ")"));
  }
  for (int64_t device = first; device <= last; ++device) {
    const auto owner = owners.find(static_cast<uint32_t>(device));
    if (owner != owners.end()) {
      return node.Error(absl::StrCat("device ", device, " is on '", owner->second,
                                     "' already; a device has one node"));
    }
    spec->devices.push_back(static_cast<uint32_t>(device));
  }
  return absl::OkStatus();
}

absl::StatusOr<BudgetNodeSpec> ReadNode(const YamlNode& node, Owners* owners) {
  ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
  BudgetNodeSpec spec;
  spec.where = std::string(node.Error("").message());
  RETURN_IF_ERROR(map.Require("name", &spec.name));
  if (!IsName(spec.name)) {
    return map.Error("name", "must be 1 to 64 letters, digits or any of _ . -");
  }
  size_t level = 0;
  RETURN_IF_ERROR(map.RequireChoice("level", LevelNames(), &level));
  spec.level = static_cast<BudgetLevel>(level);
  if (spec.name == kRootName && spec.level != BudgetLevel::kFleet) {
    return map.Error("name",
                     "'fleet' is the node over all devices: a node of another level needs "
                     "another name");
  }
  RETURN_IF_ERROR(map.Require("cap", &spec.cap));
  if (spec.cap <= Power() || spec.cap > kMostWatts) {
    return map.Error("cap", absl::StrCat("must be above 0 W and at most ", PowerText(kMostWatts)));
  }
  ASSIGN_OR_RETURN(const std::vector<YamlNode> children, map.List("children"));
  for (const YamlNode& child : children) {
    ASSIGN_OR_RETURN(std::string name, child.AsString());
    spec.children.push_back(std::move(name));
  }
  ASSIGN_OR_RETURN(const std::vector<YamlNode> devices, map.List("devices"));
  for (const YamlNode& device : devices) {
    const size_t before = spec.devices.size();
    RETURN_IF_ERROR(ReadDevices(device, *owners, &spec));
    for (size_t i = before; i < spec.devices.size(); ++i) {
      owners->emplace(spec.devices[i], spec.name);
    }
  }
  if (spec.children.empty() && spec.devices.empty()) {
    return map.Error("devices", "a node needs `devices` or `children`: it would limit nothing");
  }
  return spec;
}

// Nodes in order of writing, with the root that is not written.
std::vector<BudgetNodeSpec> WithRoot(const FleetPowerOptions& options) {
  std::vector<BudgetNodeSpec> nodes = options.nodes;
  std::set<std::string> below;
  for (const BudgetNodeSpec& node : nodes) {
    below.insert(node.children.begin(), node.children.end());
  }
  BudgetNodeSpec root = {kRootName, BudgetLevel::kFleet, options.budget, {}, {}, nodes[0].where};
  Power sum;
  for (BudgetNodeSpec& node : nodes) {
    if (node.level == BudgetLevel::kFleet) {
      if (options.budget > Power()) {
        node.cap = std::min(node.cap, options.budget);
      }
      return nodes;
    }
    if (below.find(node.name) == below.end()) {
      root.children.push_back(node.name);
      sum += node.cap;
    }
  }
  if (root.cap <= Power()) {
    root.cap = sum;
  }
  nodes.push_back(std::move(root));
  return nodes;
}

}  // namespace

absl::StatusOr<std::vector<BudgetNodeSpec>> ReadBudgets(const YamlMap& pool) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> nodes, pool.List("budgets"));
  for (const YamlNode& node : nodes) {
    if (const absl::StatusOr<YamlMap> map = node.AsMap(); map.ok()) {
      for (const char* key : {"name", "level", "cap", "children", "devices"}) {
        map->Has(key);
      }
    }
  }
  if (nodes.size() > BudgetTree::kMaxNodes) {
    return pool.Error("budgets", absl::StrCat("has ", nodes.size(), " nodes, the limit is ",
                                              BudgetTree::kMaxNodes));
  }
  std::vector<BudgetNodeSpec> out;
  Owners owners;
  for (const YamlNode& node : nodes) {
    ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
    RETURN_IF_ERROR(map.FinishKeys());
    ASSIGN_OR_RETURN(BudgetNodeSpec spec, ReadNode(node, &owners));
    out.push_back(std::move(spec));
  }
  return out;
}

std::string WriteBudgets(absl::Span<const BudgetNodeSpec> nodes) {
  std::vector<std::string> written;
  for (const BudgetNodeSpec& node : nodes) {
    const int64_t cap = node.cap.value();
    std::string text = absl::StrCat(
        "{name: \"", node.name, "\", level: ", BudgetLevelName(node.level),
        ", cap: ", cap % 1000 == 0 ? absl::StrCat(cap / 1000, "W") : absl::StrCat(cap, "mW"));
    if (!node.children.empty()) {
      absl::StrAppend(&text, ", children: [\"", absl::StrJoin(node.children, "\", \""), "\"]");
    }
    if (!node.devices.empty()) {
      absl::StrAppend(&text, ", devices: [", absl::StrJoin(node.devices, ", "), "]");
    }
    written.push_back(absl::StrCat(text, "}"));
  }
  return absl::StrCat("[", absl::StrJoin(written, ", "), "]");
}

bool HasBudgets(const FleetPowerOptions& options) {
  return !options.nodes.empty() || options.budget > Power();
}

absl::StatusOr<BudgetTree> MakeBudgetTree(const FleetPowerOptions& options, uint32_t devices,
                                          Power unlimited) {
  if (options.nodes.empty()) {
    return BudgetTree::Flat(options.budget > Power() ? options.budget : unlimited, devices);
  }
  return BudgetTree::Create(WithRoot(options), devices);
}

absl::Status CheckFleetPower(const FleetPowerOptions& options, absl::Span<const Power> floors) {
  RETURN_IF_ERROR(CheckPolicy(options.policy));
  if (!HasBudgets(options)) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const BudgetTree tree,
                   MakeBudgetTree(options, static_cast<uint32_t>(floors.size()), Power()));
  std::vector<Power> limits;
  for (const BudgetNode& node : tree.nodes()) {
    limits.push_back(LessReserve(node.cap, options.policy));
  }
  absl::Status fits = tree.CheckFloor(limits, floors);
  if (fits.ok()) {
    return fits;
  }
  return absl::Status(
      fits.code(),
      absl::StrCat(fits.message(), ". What caps may sum to is the budget less its reserve of ",
                   options.policy.reserve_ppm / 1e4,
                   " %; raise the cap, or have fewer devices below it"));
}

}  // namespace scoville::scheduler
