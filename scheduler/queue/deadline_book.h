// Whether a deadline can be held, from the work that is due before it: an exact account of slack.
//
// The book holds waiting work in the order of its deadlines (earliest deadline first). Devices work
// on it at a rate R = servers x share, the part of device time that is left for it. With B the work
// under way on devices that goes first, and P_i the sum of work due before entry i,
//
//   finish_i = now + (B + P_i) / R + w_i / share      slack_i = deadline_i - finish_i
//
// for nobody starts later than when all devices together have done what is before it (Graham,
// "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 1969), and then runs on one
// device. So for one device finish_i is exact, given the work; for several it is an upper bound:
// what is called feasible is held if the work is served in this order. It is not the order of
// service where classes or fairness come first: the caller then keeps a book per class, with the
// work of higher classes in B.
//
// A new entry is feasible iff its own slack and those of all later ones are >= 0 with it. All is
// integer arithmetic, scaled by R, without rounding; slacks fall with time only through `now` and
// B, so time passing costs nothing. The tree is a treap, its heap priority a stable hash of the id
// (Seidel, Aragon, "Randomized search trees", Algorithmica 1996), each node with the sum of work
// and the least slack of its subtree relative to the work before it.
//
// Units: engine time; work in nanoseconds of one device's time. Ownership: values. Threading:
// engine thread only. Errors: an unknown id is a CHECK.
#ifndef SCOVILLE_SCHEDULER_QUEUE_DEADLINE_BOOK_H_
#define SCOVILLE_SCHEDULER_QUEUE_DEADLINE_BOOK_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/units.h"

namespace scoville::scheduler {

// `wait`, longer by up to a quarter as a hash of `id` says: who was refused together does not come
// back together.
Duration RetryAfterSpread(Duration wait, uint64_t id);

class DeadlineBook {
 public:
  static constexpr int64_t kWholeShare = 1 << 16;

  struct Capacity {
    int64_t servers = 1;          // identical devices; 0: nothing is feasible
    int64_t share = kWholeShare;  // of a device's time, in units of 1 / kWholeShare, <= kWholeShare
    friend bool operator==(const Capacity&, const Capacity&) = default;
  };

  // What would come of an entry.
  struct Prediction {
    bool feasible = false;
    TimePoint finish;      // of the new entry; Max if never
    Duration own_slack;    // negative: by how much it would be late
    Duration later_slack;  // least of the later entries with it among them; largest if none
    Duration deficit;      // how long to wait until as much has drained as is too much; 0: feasible
  };

  DeadlineBook() : DeadlineBook(Capacity{}) {}
  explicit DeadlineBook(Capacity capacity);

  // O(size) if it changes: state shares in coarse steps.
  void SetCapacity(Capacity capacity);
  const Capacity& capacity() const { return capacity_; }

  // `backlog`: the rest of the work on devices, summed over them. A new entry comes after all with
  // the same deadline. O(log size); changes nothing.
  Prediction Predict(TimePoint now, TimePoint deadline, Duration work,
                     Duration backlog = Duration()) const;
  bool Feasible(TimePoint now, TimePoint deadline, Duration work,
                Duration backlog = Duration()) const {
    return Predict(now, deadline, work, backlog).feasible;
  }
  // For the computed retry-after: RetryAfterSpread(book.Deficit(...), id).
  Duration Deficit(TimePoint now, TimePoint deadline, Duration work,
                   Duration backlog = Duration()) const {
    return Predict(now, deadline, work, backlog).deficit;
  }

  // Whether feasible or not. Ids rise with arrival: among equal deadlines the older is first.
  void Add(uint64_t id, TimePoint deadline, Duration work);
  // It begins on a device (its work is then part of the backlog), or is given up.
  void Remove(uint64_t id);
  // Part of it was done, or its prediction changed.
  void SetWork(uint64_t id, Duration work);
  bool Contains(uint64_t id) const { return where_.contains(id); }

  // Takes out what can no longer be held, earliest deadline first, until the rest can: it becomes
  // best effort and no longer delays the others. For after a fault, or a change of capacity.
  // Returns those ids. O(log size) each.
  std::vector<uint64_t> Demote(TimePoint now, Duration backlog = Duration());

  int64_t size() const { return static_cast<int64_t>(where_.size()); }
  Duration total_work() const;
  // Least slack of all; the largest Duration if empty.
  Duration LeastSlack(TimePoint now, Duration backlog = Duration()) const;
  // Of one entry. O(log size).
  Duration SlackOf(uint64_t id, TimePoint now, Duration backlog = Duration()) const;
  // Ids, earliest deadline first.
  std::vector<uint64_t> Ids() const;

  void CheckInvariants() const;

 private:
  using Scaled = __int128;  // time x R

  struct Node {
    TimePoint deadline;
    uint64_t id = 0;
    uint64_t priority = 0;
    int64_t work = 0;
    int32_t left = -1;
    int32_t right = -1;
    // Of the subtree.
    int64_t sum = 0;
    Scaled least = 0;  // slack at time 0 with nothing before the subtree
  };

  bool Before(const Node& node, TimePoint deadline, uint64_t id) const;
  Scaled Own(const Node& node) const;
  Scaled Costs(Scaled work) const { return work * kWholeShare; }
  Scaled Offset(TimePoint now, Duration backlog) const;
  Duration Unscaled(Scaled value) const;  // rounded down
  void Pull(int32_t n);
  void Split(int32_t n, TimePoint deadline, uint64_t id, int32_t* before, int32_t* after);
  int32_t Merge(int32_t a, int32_t b);
  int32_t Insert(int32_t root, int32_t n);
  int32_t Erase(int32_t root, TimePoint deadline, uint64_t id);
  void Rebuild(int32_t n);
  int32_t FirstLate(Scaled offset) const;
  int64_t CheckSubtree(int32_t n) const;

  Capacity capacity_;
  Scaled rate_ = 0;  // servers x share
  std::vector<Node> nodes_;
  std::vector<int32_t> free_;
  int32_t root_ = -1;
  absl::flat_hash_map<uint64_t, int32_t> where_;  // looked up, never walked
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_QUEUE_DEADLINE_BOOK_H_
