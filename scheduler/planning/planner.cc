#include "scheduler/planning/planner.h"

#include <algorithm>

namespace scoville::scheduler {

namespace {

// SGLang retracts until each sequence that stays has room for so many steps.
constexpr int64_t kRetractSteps = 20;

class Planning {
 public:
  Planning(absl::Span<const RowView> rows, const PlanLimits& limits)
      : rows_(rows),
        limits_(limits),
        free_(limits.free_blocks),
        budget_(limits.max_tokens),
        gone_(rows.size(), 0) {
    for (const RowView& row : rows) {
      reserved_ += row.reserve;
    }
    while (first_ < static_cast<int32_t>(rows.size()) &&
           !Computes(rows[static_cast<size_t>(first_)])) {
      ++first_;
    }
    plan_.rows.reserve(rows.size());
  }

  StepPlan Plan() {
    PlanDecodes();
    DropPreempted();
    PlanPrompts();
    return std::move(plan_);
  }

 private:
  static bool Computes(const RowView& row) { return !row.paused && !row.waits; }
  int64_t BlocksFor(int64_t tokens) const {
    return (tokens + limits_.block_size - 1) / limits_.block_size;
  }
  // Blocks that `row` may take: what is kept for pinned rows is theirs alone.
  int64_t Obtainable(const RowView& row) const { return row.pinned ? free_ : free_ - reserved_; }

  void PlanDecodes() {
    const int32_t n = static_cast<int32_t>(rows_.size());
    for (int32_t k = 0; k < n && budget_ > 0; ++k) {
      const int32_t i = (limits_.first_decode + k) % n;
      const RowView& row = rows_[static_cast<size_t>(i)];
      if (gone_[static_cast<size_t>(i)] || !Computes(row) || !row.wants_one()) {
        continue;
      }
      if (plan_.decodes == limits_.max_decodes) {
        plan_.next_decode = i;
        break;
      }
      PlanDecode(i, row);
    }
  }

  void PlanDecode(int32_t i, const RowView& row) {
    int64_t drafts = limits_.drafts ? std::min(row.drafts, budget_ - 1) : 0;
    int64_t needed = BlocksFor(row.known + drafts) - row.blocks_owned;
    // Who needs none lacks none, even where less is left than is kept for pinned rows.
    const auto lacks = [&] { return needed > 0 && needed > Obtainable(row); };
    if (lacks()) {
      drafts = 0;  // nobody goes for a guess
      needed = BlocksFor(row.known) - row.blocks_owned;
    }
    if (lacks() && (ShouldHold(i, needed) || !FreeBlocksFor(i, needed))) {
      plan_.held.push_back(i);
      return;
    }
    if (gone_[static_cast<size_t>(i)]) {
      return;  // it was the victim itself
    }
    needed = std::max<int64_t>(needed, 0);
    free_ -= needed;
    reserved_ -= std::min(needed, row.reserve);
    plan_.rows.push_back({i, 1 + drafts, drafts});
    plan_.drafts += drafts;
    ++plan_.decodes;
    budget_ -= 1 + drafts;
  }

  // Whether waiting for rows that end soon costs less than throwing work away. The highest-ranked
  // row that can be computed advances in every step, or two might wait for each other.
  bool ShouldHold(int32_t i, int64_t needed) const {
    const RowView& row = rows_[static_cast<size_t>(i)];
    const int64_t steps = limits_.max_held - row.held;
    if (i == first_ || steps <= 0 || limits_.victims != VictimPolicy::kLeastCost) {
      return false;
    }
    int64_t soon = Obtainable(row);
    for (size_t other = 0; other < rows_.size(); ++other) {
      const RowView& r = rows_[other];
      if (static_cast<int32_t>(other) != i && !gone_[other] && Computes(r) && r.wants_one() &&
          r.left <= steps) {
        soon += r.blocks_exclusive;
      }
    }
    return soon >= needed;
  }

  // The row to go for `missing` blocks, of lower rank than `row` or with a reader that is behind;
  // -1: there is none.
  int32_t VictimFor(int32_t row, int64_t missing) const {
    if (limits_.victims != VictimPolicy::kLeastCost) {
      return RivalVictimFor(row);
    }
    int32_t best = -1;
    for (int32_t i = static_cast<int32_t>(rows_.size()) - 1; i >= 0; --i) {
      const RowView& r = rows_[static_cast<size_t>(i)];
      if (gone_[static_cast<size_t>(i)] || r.pinned || r.blocks_exclusive == 0 || i == row ||
          (i < row && !r.paused)) {
        continue;
      }
      if (best < 0 || Cheaper(r, rows_[static_cast<size_t>(best)], missing)) {
        best = i;
      }
    }
    return best;
  }

  // As other engines choose. The highest-ranked row stays even there, so that work goes on.
  int32_t RivalVictimFor(int32_t row) const {
    const bool newest = limits_.victims == VictimPolicy::kNewest;
    int32_t best = -1;
    for (int32_t i = static_cast<int32_t>(rows_.size()) - 1; i > 0; --i) {
      const RowView& r = rows_[static_cast<size_t>(i)];
      if (gone_[static_cast<size_t>(i)] || r.pinned || r.blocks_exclusive == 0 ||
          (newest && i < row)) {
        continue;
      }
      if (newest) {
        return i;
      }
      const auto before = [](const RowView& a, const RowView& b) {
        return a.output != b.output ? a.output < b.output : a.known > b.known;
      };
      if (best < 0 || before(r, rows_[static_cast<size_t>(best)])) {
        best = i;
      }
    }
    return best;
  }

  // What the rule wants free before it stops: more than the row needs, for the steps to come.
  int64_t Wanted(int64_t needed) const {
    if (limits_.victims != VictimPolicy::kLeastOutput) {
      return needed;
    }
    const int64_t staying = std::count(gone_.begin(), gone_.end(), 0);
    return std::max(needed, BlocksFor(staying * kRetractSteps));
  }

  // Those that wait for their readers first; then one that frees enough before one that does not;
  // then by the tokens to compute again, or, where one is not enough, by tokens for each block.
  static bool Cheaper(const RowView& a, const RowView& b, int64_t missing) {
    if (a.paused != b.paused) {
      return a.paused;
    }
    const bool a_enough = a.blocks_exclusive >= missing;
    const bool b_enough = b.blocks_exclusive >= missing;
    if (a_enough != b_enough) {
      return a_enough;
    }
    if (a_enough) {
      return a.computed < b.computed;
    }
    return a.computed * b.blocks_exclusive < b.computed * a.blocks_exclusive;
  }

  bool FreeBlocksFor(int32_t row, int64_t needed) {
    const RowView& r = rows_[static_cast<size_t>(row)];
    std::vector<int32_t> victims;
    int64_t freed = 0;
    while (Obtainable(r) + freed < Wanted(needed) && !gone_[static_cast<size_t>(row)]) {
      const int32_t victim = VictimFor(row, needed - Obtainable(r) - freed);
      if (victim < 0 && Obtainable(r) + freed >= needed) {
        break;
      }
      if (victim < 0) {
        for (int32_t v : victims) {
          gone_[static_cast<size_t>(v)] = 0;  // nobody goes in vain
        }
        return false;
      }
      gone_[static_cast<size_t>(victim)] = 1;
      freed += rows_[static_cast<size_t>(victim)].blocks_exclusive;
      victims.push_back(victim);
    }
    if (limits_.victims == VictimPolicy::kLeastCost) {
      freed -= Spare(Obtainable(r) + freed - needed, &victims);
    }
    free_ += freed;
    plan_.preempted.insert(plan_.preempted.end(), victims.begin(), victims.end());
    return true;
  }

  // The last to go may free so much that an earlier one need not: those stay that are dearest to
  // compute again, as long as the blocks do. Returns the blocks that stay with them.
  int64_t Spare(int64_t more_than_needed, std::vector<int32_t>* victims) {
    std::vector<int32_t> dearest = *victims;
    std::stable_sort(dearest.begin(), dearest.end(), [this](int32_t a, int32_t b) {
      const RowView& x = rows_[static_cast<size_t>(a)];
      const RowView& y = rows_[static_cast<size_t>(b)];
      return x.paused != y.paused ? y.paused : x.computed > y.computed;
    });
    int64_t kept = 0;
    for (const int32_t i : dearest) {
      const int64_t blocks = rows_[static_cast<size_t>(i)].blocks_exclusive;
      if (kept + blocks <= more_than_needed) {
        kept += blocks;
        gone_[static_cast<size_t>(i)] = 0;
        std::erase(*victims, i);
      }
    }
    return kept;
  }

  // Where decodes take turns, a victim may have been planned before.
  void DropPreempted() {
    if (plan_.preempted.empty()) {
      return;
    }
    const auto gone = [&](int32_t i) { return gone_[static_cast<size_t>(i)] != 0; };
    for (const PlannedRow& row : plan_.rows) {
      if (gone(row.row)) {
        plan_.decodes -= 1;
        plan_.drafts -= row.drafts;
        budget_ += row.count;
      }
    }
    std::erase_if(plan_.rows, [&](const PlannedRow& row) { return gone(row.row); });
    std::erase_if(plan_.held, gone);
  }

  // A prompt's blocks were all taken when it was placed, so nothing can run out here.
  void PlanPrompts() {
    budget_ = std::min(budget_, limits_.max_prompt_tokens);
    for (int32_t i = 0; i < static_cast<int32_t>(rows_.size()) && budget_ > 0; ++i) {
      const RowView& row = rows_[static_cast<size_t>(i)];
      if (gone_[static_cast<size_t>(i)] || !Computes(row) || row.wants_one()) {
        continue;
      }
      const int64_t count = std::min(row.known - row.computed, budget_);
      plan_.rows.push_back({i, count, 0});
      plan_.prompt_tokens += count;
      budget_ -= count;
    }
  }

  const absl::Span<const RowView> rows_;
  const PlanLimits& limits_;
  int64_t free_;
  int64_t reserved_ = 0;
  int64_t budget_;
  std::vector<uint8_t> gone_;
  int32_t first_ = 0;  // the highest-ranked row that can be computed
  StepPlan plan_;
};

}  // namespace

StepPlan PlanStep(absl::Span<const RowView> rows, const PlanLimits& limits) {
  return Planning(rows, limits).Plan();
}

}  // namespace scoville::scheduler
