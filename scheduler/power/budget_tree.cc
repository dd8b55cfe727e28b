#include "scheduler/power/budget_tree.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

constexpr size_t kTermsShown = 6;

absl::Status Bad(const BudgetNodeSpec& spec, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(spec.where, BudgetLevelName(spec.level), " '", spec.name, "' ", what));
}

using Index = std::map<std::string, size_t>;

absl::StatusOr<Index> IndexNames(absl::Span<const BudgetNodeSpec> specs) {
  if (specs.empty() || specs.size() > BudgetTree::kMaxNodes) {
    return absl::InvalidArgumentError(absl::StrCat("a budget tree has ", specs.size(),
                                                   " nodes, must be 1 to ", BudgetTree::kMaxNodes));
  }
  Index index;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name.empty()) {
      return Bad(specs[i], "has no name: errors and reports need one");
    }
    if (!index.emplace(specs[i].name, i).second) {
      return Bad(specs[i], "exists twice: names are unique across levels");
    }
    if (specs[i].cap <= Power()) {
      return Bad(specs[i], absl::StrCat("has a cap of ", PowerText(specs[i].cap),
                                        ": a budget must be above zero"));
    }
  }
  return index;
}

// The parent of each node, -1 for none.
absl::StatusOr<std::vector<int>> Parents(absl::Span<const BudgetNodeSpec> specs,
                                         const Index& index) {
  std::vector<std::string> names;
  for (const auto& [name, unused] : index) {
    names.push_back(name);
  }
  std::vector<int> parents(specs.size(), -1);
  for (size_t i = 0; i < specs.size(); ++i) {
    for (const std::string& child : specs[i].children) {
      const auto found = index.find(child);
      if (found == index.end()) {
        return Bad(specs[i], absl::StrCat("has a child '", child, "' that no node defines",
                                          DidYouMean(child, names)));
      }
      const BudgetNodeSpec& below = specs[found->second];
      if (parents[found->second] >= 0) {
        return Bad(below, absl::StrCat("is a child of both '", specs[parents[found->second]].name,
                                       "' and '", specs[i].name, "': a node has one parent"));
      }
      parents[found->second] = static_cast<int>(i);
    }
  }
  return parents;
}

// Each node's way up must end: a node that meets itself is its own ancestor.
absl::Status CheckNoCycle(absl::Span<const BudgetNodeSpec> specs, const std::vector<int>& parents) {
  for (size_t i = 0; i < specs.size(); ++i) {
    std::string way = specs[i].name;
    size_t steps = 0;
    for (int at = parents[i]; at >= 0; at = parents[at]) {
      if (steps < kTermsShown) {
        absl::StrAppend(&way, " < ", specs[at].name);
      }
      if (at == static_cast<int>(i) || ++steps > specs.size()) {
        return Bad(specs[i], absl::StrCat("is its own ancestor (", way, "): a cycle has no root"));
      }
    }
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    if (parents[i] >= 0 && specs[parents[i]].level <= specs[i].level) {
      const BudgetNodeSpec& above = specs[parents[i]];
      return Bad(specs[i], absl::StrCat("is a child of ", BudgetLevelName(above.level), " '",
                                        above.name, "': the order is tray < rack < row < fleet"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> OnlyRoot(absl::Span<const BudgetNodeSpec> specs,
                                const std::vector<int>& parents) {
  std::vector<std::string> roots;
  size_t root = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (parents[i] < 0) {
      root = i;
      roots.push_back(specs[i].name);
    }
  }
  if (roots.size() != 1) {
    roots.resize(std::min(roots.size(), kTermsShown));
    return absl::InvalidArgumentError(
        absl::StrCat(specs[0].where, "a budget tree has one root, this has several: ",
                     absl::StrJoin(roots, ", "), "; add the missing children"));
  }
  return root;
}

}  // namespace

absl::string_view BudgetLevelName(BudgetLevel level) {
  switch (level) {
    case BudgetLevel::kTray:
      return "tray";
    case BudgetLevel::kRack:
      return "rack";
    case BudgetLevel::kRow:
      return "row";
    case BudgetLevel::kFleet:
      return "fleet";
  }
  return "node";
}

std::string PowerText(Power power) {
  const int64_t milliwatts = power.value();
  return milliwatts % 1000 == 0
             ? absl::StrCat(milliwatts / 1000, " W")
             : absl::StrFormat("%.10g W", static_cast<double>(milliwatts) * 1e-3);
}

absl::StatusOr<BudgetTree> BudgetTree::Create(absl::Span<const BudgetNodeSpec> specs,
                                              uint32_t devices) {
  if (devices > kMaxDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat("a budget tree over ", devices, " devices; the limit is ", kMaxDevices));
  }
  ASSIGN_OR_RETURN(const Index index, IndexNames(specs));
  ASSIGN_OR_RETURN(const std::vector<int> parents, Parents(specs, index));
  RETURN_IF_ERROR(CheckNoCycle(specs, parents));
  ASSIGN_OR_RETURN(const size_t root, OnlyRoot(specs, parents));

  BudgetTree tree;
  tree.home_.assign(devices, -1);
  // Breadth first from the root, children in the order written.
  std::vector<std::pair<size_t, int>> order = {{root, -1}};
  for (size_t next = 0; next < order.size(); ++next) {
    const auto [from, parent] = order[next];
    const BudgetNodeSpec& spec = specs[from];
    const int self = static_cast<int>(next);
    tree.nodes_.push_back({spec.name, spec.level, spec.cap, parent, {}, {}, spec.where});
    if (parent >= 0) {
      tree.nodes_[parent].children.push_back(self);
    }
    for (const std::string& child : spec.children) {
      order.emplace_back(index.at(child), self);
    }
    for (const uint32_t device : spec.devices) {
      if (device >= devices) {
        return Bad(spec, absl::StrCat("has device ", device, ", the pool has 0 to ",
                                      static_cast<int64_t>(devices) - 1));
      }
      if (tree.home_[device] >= 0) {
        return Bad(spec, absl::StrCat("has device ", device, ", which '",
                                      tree.nodes_[tree.home_[device]].name, "' has too"));
      }
      tree.home_[device] = self;
    }
  }
  for (uint32_t device = 0; device < devices; ++device) {
    if (tree.home_[device] < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(specs[0].where, "device ", device, " is on no node of the budget tree: its ",
                       "draw would be counted nowhere; list it under a node's devices"));
    }
    for (int at = tree.home_[device]; at >= 0; at = tree.nodes_[at].parent) {
      tree.nodes_[at].devices.push_back(device);
    }
  }
  return tree;
}

BudgetTree BudgetTree::Flat(Power cap, uint32_t devices) {
  BudgetTree tree;
  tree.nodes_.push_back({"fleet", BudgetLevel::kFleet, cap, -1, {}, {}, {}});
  for (uint32_t device = 0; device < devices; ++device) {
    tree.nodes_[0].devices.push_back(device);
  }
  tree.home_.assign(devices, 0);
  return tree;
}

void BudgetTree::AddDevice(int node) {
  CHECK(node >= 0 && static_cast<size_t>(node) < nodes_.size());
  CHECK_LT(home_.size(), kMaxDevices);
  const uint32_t device = devices();
  home_.push_back(node);
  for (int at = node; at >= 0; at = nodes_[at].parent) {
    nodes_[at].devices.push_back(device);  // the highest number: the order stays
  }
}

void BudgetTree::RemoveDevice(uint32_t device) {
  CHECK_LT(device, devices());
  for (int at = home_[device]; at >= 0; at = nodes_[at].parent) {
    std::vector<uint32_t>& below = nodes_[at].devices;
    below.erase(std::remove(below.begin(), below.end(), device), below.end());
  }
}

absl::StatusOr<int> BudgetTree::Find(absl::string_view name) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].name == name) {
      return static_cast<int>(i);
    }
    names.push_back(nodes_[i].name);
  }
  return absl::NotFoundError(
      absl::StrCat("no node '", name, "' in the budget tree", DidYouMean(name, names)));
}

std::vector<Power> BudgetTree::Caps() const {
  std::vector<Power> caps;
  for (const BudgetNode& node : nodes_) {
    caps.push_back(node.cap);
  }
  return caps;
}

std::vector<Power> BudgetTree::SumsOf(absl::Span<const Power> per_device) const {
  CHECK_EQ(per_device.size(), home_.size());
  std::vector<Power> sums(nodes_.size());
  for (size_t device = 0; device < home_.size(); ++device) {
    sums[home_[device]] += per_device[device];
  }
  for (size_t i = nodes_.size(); i-- > 1;) {
    sums[nodes_[i].parent] += sums[i];
  }
  return sums;
}

absl::Status BudgetTree::CheckFloor(absl::Span<const Power> limits,
                                    absl::Span<const Power> floors) const {
  CHECK_EQ(limits.size(), nodes_.size());
  const std::vector<Power> sums = SumsOf(floors);
  // Lowest first: the narrowest breaker that cannot hold is the one to name.
  for (size_t i = nodes_.size(); i-- > 0;) {
    if (sums[i] <= limits[i]) {
      continue;
    }
    const BudgetNode& node = nodes_[i];
    std::vector<std::string> terms;
    for (size_t d = 0; d < std::min(node.devices.size(), kTermsShown); ++d) {
      terms.push_back(PowerText(floors[node.devices[d]]));
    }
    const size_t more = node.devices.size() - terms.size();
    return absl::FailedPreconditionError(
        absl::StrCat(node.where, BudgetLevelName(node.level), " '", node.name, "' may draw ",
                     PowerText(limits[i]), ", but the least caps of its ", node.devices.size(),
                     " devices sum to ", PowerText(sums[i]), " (", absl::StrJoin(terms, " + "),
                     more > 0 ? absl::StrCat(" + ", more, " more") : "",
                     "): ", PowerText(sums[i] - limits[i]), " short"));
  }
  return absl::OkStatus();
}

}  // namespace scoville::scheduler
