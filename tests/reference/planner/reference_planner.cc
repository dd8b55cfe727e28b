#include "tests/reference/planner/reference_planner.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace scoville::tests {

namespace {

using scheduler::PlanLimits;
using scheduler::PlannedRow;
using scheduler::RowView;
using scheduler::StepPlan;
using scheduler::VictimPolicy;
using Rows = std::vector<RowView>;

const RowView& At(const Rows& rows, int32_t i) { return rows[static_cast<size_t>(i)]; }
int32_t Count(const Rows& rows) { return static_cast<int32_t>(rows.size()); }

int64_t BlocksFor(int64_t tokens, const PlanLimits& limits) {
  int64_t blocks = 0;
  while (blocks * limits.block_size < tokens) {
    ++blocks;
  }
  return blocks;
}

// New blocks of a decode row with so many guesses.
int64_t Growth(const RowView& row, int64_t drafts, const PlanLimits& limits) {
  return std::max<int64_t>(0, BlocksFor(row.known + drafts, limits) - row.blocks_owned);
}

// What was decided so far.
struct Draft {
  std::vector<PlannedRow> decodes;  // also of rows that have gone since: their blocks are not given
                                    // to anybody else in this step
  std::vector<int32_t> gone;
  std::vector<int32_t> held;
};

bool IsIn(const std::vector<int32_t>& list, int32_t i) {
  return std::find(list.begin(), list.end(), i) != list.end();
}

int64_t FreeNow(const Rows& rows, const PlanLimits& limits, const Draft& draft) {
  int64_t free = limits.free_blocks;
  for (const PlannedRow& planned : draft.decodes) {
    free -= Growth(At(rows, planned.row), planned.drafts, limits);
  }
  for (const int32_t gone : draft.gone) {
    free += At(rows, gone).blocks_exclusive;
  }
  return free;
}

// Kept for pinned rows and not taken by them yet.
int64_t KeptNow(const Rows& rows, const PlanLimits& limits, const Draft& draft) {
  int64_t kept = 0;
  for (int32_t i = 0; i < Count(rows); ++i) {
    int64_t own = At(rows, i).reserve;
    for (const PlannedRow& planned : draft.decodes) {
      if (planned.row == i) {
        own -= std::min(own, Growth(At(rows, i), planned.drafts, limits));
      }
    }
    kept += own;
  }
  return kept;
}

int64_t For(int32_t i, const Rows& rows, const PlanLimits& limits, const Draft& draft) {
  const int64_t kept = At(rows, i).pinned ? 0 : KeptNow(rows, limits, draft);
  return FreeNow(rows, limits, draft) - kept;
}

bool MayGoFor(int32_t needy, int32_t i, const Rows& rows, const Draft& draft) {
  const RowView& row = At(rows, i);
  const bool below = i > needy || row.paused;
  return i != needy && below && !row.pinned && row.blocks_exclusive > 0 && !IsIn(draft.gone, i);
}

// The order in which they go for `missing` blocks: negative before positive.
int Compare(const RowView& a, const RowView& b, int64_t missing) {
  const auto by = [](int64_t x, int64_t y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.paused != b.paused) {
    return a.paused ? -1 : 1;
  }
  const bool a_does = a.blocks_exclusive >= missing;
  const bool b_does = b.blocks_exclusive >= missing;
  if (a_does != b_does) {
    return a_does ? -1 : 1;
  }
  return a_does ? by(a.computed, b.computed)
                : by(a.computed * b.blocks_exclusive, b.computed * a.blocks_exclusive);
}

// Those that go for the needy row; empty if all that may go are not enough.
std::vector<int32_t> VictimsFor(int32_t needy, int64_t needed, const Rows& rows,
                                const PlanLimits& limits, const Draft& before) {
  Draft draft = before;
  std::vector<int32_t> victims;
  while (For(needy, rows, limits, draft) < needed) {
    const int64_t missing = needed - For(needy, rows, limits, draft);
    int32_t first = -1;
    for (int32_t i = Count(rows) - 1; i >= 0; --i) {  // of equal ones the lowest rank
      if (!MayGoFor(needy, i, rows, draft)) {
        continue;
      }
      const bool newest = limits.victims == VictimPolicy::kNewest;
      if (first < 0 || (!newest && Compare(At(rows, i), At(rows, first), missing) < 0)) {
        first = i;
      }
    }
    if (first < 0) {
      return {};
    }
    victims.push_back(first);
    draft.gone.push_back(first);
  }
  while (limits.victims == VictimPolicy::kLeastCost) {
    // Of those without whom the blocks would do, the dearest stays; readers that are behind last.
    int32_t spared = -1;
    for (const int32_t i : victims) {
      Draft without = before;
      for (const int32_t other : victims) {
        if (other != i) {
          without.gone.push_back(other);
        }
      }
      const RowView& row = At(rows, i);
      const bool better = spared < 0 || (row.paused != At(rows, spared).paused
                                             ? At(rows, spared).paused
                                             : row.computed > At(rows, spared).computed);
      if (For(needy, rows, limits, without) >= needed && better) {
        spared = i;
      }
    }
    if (spared < 0) {
      break;
    }
    std::erase(victims, spared);
  }
  return victims;
}

// The highest-ranked of those that can be computed.
int32_t FirstOf(const Rows& rows) {
  int32_t i = 0;
  while (i < Count(rows) && (At(rows, i).paused || At(rows, i).waits)) {
    ++i;
  }
  return i;
}

bool EndsOthersSoon(int32_t needy, int64_t needed, const Rows& rows, const PlanLimits& limits,
                    const Draft& draft) {
  const int64_t steps = limits.max_held - At(rows, needy).held;
  if (needy == FirstOf(rows) || steps <= 0 || limits.victims == VictimPolicy::kNewest) {
    return false;
  }
  int64_t blocks = For(needy, rows, limits, draft);
  for (int32_t i = 0; i < Count(rows); ++i) {
    const RowView& row = At(rows, i);
    const bool ends =
        i != needy && !row.paused && !row.waits && row.wants_one() && row.left <= steps;
    blocks += ends && !IsIn(draft.gone, i) ? row.blocks_exclusive : 0;
  }
  return blocks >= needed;
}

void DecideDecode(int32_t i, int64_t budget, const Rows& rows, const PlanLimits& limits,
                  Draft* draft) {
  const RowView& row = At(rows, i);
  int64_t drafts = limits.drafts ? std::min(row.drafts, budget - 1) : 0;
  if (Growth(row, drafts, limits) > std::max<int64_t>(0, For(i, rows, limits, *draft))) {
    drafts = 0;
  }
  const int64_t needed = Growth(row, drafts, limits);
  if (needed > 0 && needed > For(i, rows, limits, *draft)) {
    const std::vector<int32_t> victims = EndsOthersSoon(i, needed, rows, limits, *draft)
                                             ? std::vector<int32_t>()
                                             : VictimsFor(i, needed, rows, limits, *draft);
    if (victims.empty()) {
      draft->held.push_back(i);
      return;
    }
    draft->gone.insert(draft->gone.end(), victims.begin(), victims.end());
  }
  draft->decodes.push_back({i, 1 + drafts, drafts});
}

}  // namespace

StepPlan ReferencePlan(const Rows& rows, const PlanLimits& limits) {
  Draft draft;
  StepPlan plan;
  int64_t budget = limits.max_tokens;
  for (int32_t k = 0; k < Count(rows) && budget > 0; ++k) {
    const int32_t i = (limits.first_decode + k) % Count(rows);
    if (At(rows, i).paused || At(rows, i).waits || !At(rows, i).wants_one() ||
        IsIn(draft.gone, i)) {
      continue;
    }
    if (static_cast<int64_t>(draft.decodes.size()) == limits.max_decodes) {
      plan.next_decode = i;
      break;
    }
    const size_t before = draft.decodes.size();
    DecideDecode(i, budget, rows, limits, &draft);
    budget -= draft.decodes.size() > before ? draft.decodes.back().count : 0;
  }
  plan.preempted = draft.gone;
  for (const int32_t i : draft.held) {
    if (!IsIn(draft.gone, i)) {
      plan.held.push_back(i);
    }
  }
  budget = limits.max_tokens;
  for (const PlannedRow& planned : draft.decodes) {
    if (!IsIn(draft.gone, planned.row)) {
      plan.rows.push_back(planned);
      plan.decodes += 1;
      plan.drafts += planned.drafts;
      budget -= planned.count;
    }
  }
  int64_t prompts = std::min(budget, limits.max_prompt_tokens);
  for (int32_t i = 0; i < Count(rows); ++i) {
    const RowView& row = At(rows, i);
    const int64_t count = std::min(prompts, row.known - row.computed);
    if (count > 0 && !row.paused && !row.waits && !row.wants_one() && !IsIn(draft.gone, i)) {
      plan.rows.push_back({i, count, 0});
      plan.prompt_tokens += count;
      prompts -= count;
    }
  }
  return plan;
}

namespace {

// Rows, order and budgets.
std::string FaultOfRows(const Rows& rows, const PlanLimits& limits, const StepPlan& plan) {
  const int32_t n = Count(rows);
  int64_t tokens = 0;
  std::set<int32_t> seen;
  for (size_t k = 0; k < plan.rows.size(); ++k) {
    const PlannedRow& planned = plan.rows[k];
    const RowView& row = At(rows, planned.row);
    const bool decodes = static_cast<int64_t>(k) < plan.decodes;
    if (!seen.insert(planned.row).second || row.paused || row.waits || planned.count < 1 ||
        IsIn(plan.preempted, planned.row) || IsIn(plan.held, planned.row) ||
        decodes != row.wants_one() || planned.drafts > row.drafts ||
        planned.count > row.known - row.computed + planned.drafts) {
      return absl::StrCat("row ", planned.row, " may not be in the plan as it is");
    }
    const auto turn = [&](int32_t i) { return (i - limits.first_decode + n) % n; };
    if (k > 0 && decodes && turn(plan.rows[k - 1].row) >= turn(planned.row)) {
      return absl::StrCat("decode ", planned.row, " is out of turn");
    }
    if (static_cast<int64_t>(k) > plan.decodes && plan.rows[k - 1].row >= planned.row) {
      return absl::StrCat("prompt ", planned.row, " is out of rank");
    }
    tokens += planned.count;
  }
  const bool kept = tokens <= limits.max_tokens && plan.prompt_tokens <= limits.max_prompt_tokens &&
                    plan.decodes <= limits.max_decodes;
  return kept ? "" : "a budget is passed";
}

std::string FaultOfBlocks(const Rows& rows, const PlanLimits& limits, const StepPlan& plan) {
  int64_t growth = 0;
  int64_t pinned_growth = 0;
  for (const PlannedRow& planned : plan.rows) {
    const RowView& row = At(rows, planned.row);
    const int64_t own = row.wants_one() ? Growth(row, planned.drafts, limits) : 0;
    growth += own;
    pinned_growth += std::min(own, row.reserve);
  }
  int64_t free = limits.free_blocks;
  for (const int32_t gone : plan.preempted) {
    free += At(rows, gone).blocks_exclusive;
    if (At(rows, gone).pinned) {
      return absl::StrCat("pinned row ", gone, " goes");
    }
  }
  int64_t kept = 0;
  for (const RowView& row : rows) {
    kept += row.reserve;
  }
  // What is kept for pinned rows is there still, as far as it was.
  const bool intact = limits.free_blocks < kept || free - growth >= kept - pinned_growth;
  return growth <= std::max<int64_t>(0, free) && intact
             ? ""
             : absl::StrCat("takes ", growth, " blocks of ", free);
}

std::string FaultOfVictims(const Rows& rows, const PlanLimits& limits, const StepPlan& plan) {
  for (const int32_t gone : plan.preempted) {
    // Somebody planned that stands above, or this one's reader is behind; and he did need blocks.
    const bool needed = std::any_of(plan.rows.begin(), plan.rows.end(), [&](const PlannedRow& p) {
      return At(rows, p.row).wants_one() && Growth(At(rows, p.row), 0, limits) > 0 &&
             (p.row < gone || At(rows, gone).paused);
    });
    if (!needed) {
      return absl::StrCat("row ", gone, " goes for nobody");
    }
  }
  return "";
}

bool FirstRowStands(const Rows& rows, const PlanLimits& limits, const StepPlan& plan) {
  if (rows.empty() || limits.first_decode != 0 || limits.max_tokens <= 0 ||
      limits.max_decodes <= 0 || rows[0].paused || rows[0].waits || !rows[0].wants_one()) {
    return false;
  }
  int64_t most = For(0, rows, limits, {});
  for (int32_t i = 1; i < Count(rows); ++i) {
    most += MayGoFor(0, i, rows, {}) ? At(rows, i).blocks_exclusive : 0;
  }
  const bool advances = !plan.rows.empty() && plan.rows[0].row == 0;
  return !advances && Growth(rows[0], 0, limits) <= std::max<int64_t>(0, most);
}

}  // namespace

std::string FaultOf(const Rows& rows, const PlanLimits& limits, const StepPlan& plan) {
  for (const auto fault : {FaultOfRows, FaultOfBlocks, FaultOfVictims}) {
    if (std::string what = fault(rows, limits, plan); !what.empty()) {
      return what;
    }
  }
  return FirstRowStands(rows, limits, plan) ? "the first row does not advance" : "";
}

int64_t LeastSingleCost(const Rows& rows, const PlanLimits& limits, int32_t needy) {
  const int64_t missing = Growth(At(rows, needy), 0, limits) - For(needy, rows, limits, {});
  int64_t least = -1;
  for (int32_t i = 0; i < Count(rows); ++i) {
    const RowView& row = At(rows, i);
    if (MayGoFor(needy, i, rows, {}) && row.blocks_exclusive >= missing &&
        (least < 0 || row.computed < least)) {
      least = row.computed;
    }
  }
  return least;
}

bool SomeSetIsEnough(const Rows& rows, const PlanLimits& limits, int32_t needy) {
  const int64_t needed = Growth(At(rows, needy), 0, limits);
  for (uint32_t set = 0; set < (1u << rows.size()); ++set) {
    Draft draft;
    bool allowed = true;
    for (int32_t i = 0; i < Count(rows); ++i) {
      if ((set >> i & 1) != 0) {
        allowed = allowed && MayGoFor(needy, i, rows, {});
        draft.gone.push_back(i);
      }
    }
    if (allowed && For(needy, rows, limits, draft) >= needed) {
      return true;
    }
  }
  return false;
}

}  // namespace scoville::tests
