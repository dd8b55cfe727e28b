// The waiting line of a scheduler: class, then tenant, then request; and what each tenant was
// charged for.
//
// Life of an id: Push, Take (to a device), perhaps Restore and Take again, Remove when it ends or
// is given up; Remove may come at any time. A taken request stays known until then, so that its
// tenant can be charged for what it really cost.
//
// Order of service: strictly by class (an entry older than `class_ageing` counts one class higher
// for each such time it waited); in a class first what was taken before and restored, by key; then
// tenants by start-time fair queueing (Goyal, Vin, Cheng, "Start-time Fair Queueing", SIGCOMM'96):
// every tenant of a class has a virtual time, the tenant with the least goes first, and a request
// that is taken moves it on by cost / weight. A tenant that had nothing waiting is lifted to the
// least virtual time of those that have (VTC, arXiv 2401.00588), so nobody saves up service. In a
// tenant, QueuePolicy decides.
//
// The estimate is charged at Take; Serve says what was really done and charges what goes beyond;
// Remove gives back what was charged and never served. README.md has the bound that follows for two
// tenants that always have something waiting, and what it supposes.
//
// What waits for an event of its own (Hold, or pushed `held`) is in no line until it is released:
// it is counted and keeps its place, but nobody has to look past it.
//
// The caller tells every id's end: Remove, also for what ran to its end on a device.
//
// Units: cost in any one unit (milli-tokens, microjoules): the queue does not care. Ownership: owns
// copies of names, nothing else. Threading: engine thread only. Errors: an unknown id or one in the
// wrong state is a CHECK. No decision depends on the order of a hash table.
#ifndef SCOVILLE_SCHEDULER_QUEUE_REQUEST_QUEUE_H_
#define SCOVILLE_SCHEDULER_QUEUE_REQUEST_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "scheduler/queue/class_line.h"
#include "scheduler/queue/queue_limits.h"
#include "scheduler/queue/rank_key.h"
#include "scheduler/queue/tenant_table.h"
#include "scheduler/request.h"

namespace scoville::scheduler {

inline constexpr size_t kServiceClassCount = 3;

// Order of one tenant's requests.
enum class QueuePolicy : uint8_t {
  kFcfs,  // by id
  kEdf,   // by QueueEntry::due, then id
};

// As files and flags write them, in the order of the values.
inline std::vector<std::string> QueuePolicyNames() { return {"fcfs", "edf"}; }

struct FairnessOptions {
  bool enabled = true;                     // false: QueuePolicy over all tenants of a class
  std::map<std::string, int64_t> weights;  // in units of kWeightOne, which is what others have
  int64_t max_tenants = 4096;              // names known at a time; more share one virtual time
};

struct QueueOptions {
  QueuePolicy policy = QueuePolicy::kFcfs;
  FairnessOptions fairness{};
  Duration class_ageing{};  // zero: classes are strict
  // Of so many requests taken from a tenant's line while late ones wait in it, one is the first of
  // those; 1: late ones go first; 0: they keep their places.
  int32_t late_share = 8;
  int64_t expected = 1024;  // requests known at a time for which nothing has to grow
};

struct QueueEntry {
  uint64_t id = 0;  // never used before; rising in the order of arrival
  ServiceClass service_class = ServiceClass::kStandard;
  absl::string_view tenant;  // valid for the call
  int64_t cost = 0;          // estimate; >= 0
  // For kEdf: the deadline, else the target of the first token, else arrival + a horizon: it must
  // be finite, or later arrivals could pass it for ever.
  TimePoint due = TimePoint::Max();
  // When it has waited too long for what it was due, which is what `due` no longer is worth: from
  // then on it stands behind those that are not late.
  TimePoint late_at = TimePoint::Max();
  TimePoint arrival;  // for ageing
  // Counted for admission (QueueLoad). Tokens and bytes beyond 32 bits count as that many.
  int64_t tokens = 0;
  int64_t bytes = 0;
  Duration time{};
  bool held = false;
};

struct TenantStatus {
  std::string name;    // empty: those that share one virtual time
  int64_t weight = 0;  // in units of kWeightOne
  QueueLoad waiting;
  int64_t taken = 0;    // taken and not removed
  int64_t charged = 0;  // cost, net of refunds, since the name became known
};

class RequestQueue {
 public:
  explicit RequestQueue(const QueueOptions& options);

  // A new arrival. O(log).
  void Push(const QueueEntry& entry);

  // Waiting ids in the order of service, at most `limit`, as they would be taken if nothing else
  // happened. Clears `ids` first. Changes nothing. O(limit log limit), whatever waits.
  void Peek(int64_t limit, std::vector<uint64_t>* ids) const;

  // The request leaves for a device. The first time its tenant is charged its cost. Any waiting
  // request may be taken: look-ahead passes the head. O(log).
  RankKey Take(uint64_t id);

  // A taken request waits again. It keeps its key (pass one with not_pinned = false to pin it) and
  // stands before all of its class that were never taken; it is not charged again. O(log).
  void Restore(uint64_t id, const RankKey& key);
  // The same, with other tokens to count.
  void Restore(uint64_t id, const RankKey& key, int64_t tokens);

  // Takes a waiting request out of its line, and puts it back where it would stand now. O(log).
  void Hold(uint64_t id);
  void Release(uint64_t id);

  // Pins a taken or restored request; returns its key.
  RankKey Pin(uint64_t id);

  // Work worth `cost` was done for a request that was taken: comes off its estimate, and is charged
  // where it goes beyond. Not for what is the server's own loss (recomputation, lost steps).
  // O(log).
  void Serve(uint64_t id, int64_t cost);

  // The request ends, or is given up while it waits. Returns what its tenant was given back: what
  // was charged and not served. O(log).
  int64_t Remove(uint64_t id);

  // Any other correction of a tenant's account, negative to give back. A name that is not known has
  // no account: nothing happens.
  void Charge(ServiceClass service_class, absl::string_view tenant, int64_t delta);

  // Moves entries that waited `class_ageing` a class up, and those that are late back. O(log) each.
  void Age(TimePoint now);
  // While `stopped` those of the class stand in its own line, however long they have waited; then
  // those that are old enough move up at the next Age. O(n log n) if it changes.
  void StopAgeing(ServiceClass service_class, bool stopped);
  // It is late already, for a reason that the queue does not see. Only what was never taken can be.
  // O(log).
  void MakeLate(uint64_t id);
  // When the next entry is due to move; TimePoint::Max() if none.
  TimePoint NextAgeing() const;

  // The key of a taken or restored request; of another the one it would get now.
  RankKey KeyOf(uint64_t id) const;
  bool Contains(uint64_t id) const { return slots_.contains(id); }  // waiting or taken
  bool Waiting(uint64_t id) const;
  bool Fresh(uint64_t id) const { return At(id).state == State::kFresh; }  // never taken
  bool Late(uint64_t id) const { return At(id).late != 0; }
  // It was never taken, is late, and it is not its turn: it should take what others do not need.
  bool Behind(uint64_t id) const;

  int64_t late() const { return late_; }  // in the lines and never taken

  bool Held(uint64_t id) const;  // Precondition: it is known

  bool empty() const { return total_.requests == held_; }  // nothing in the lines
  const QueueLoad& load() const { return total_; }
  // Waiting requests, held ones too; of a class as the client gave it, whatever ageing made of it.
  int64_t size() const { return total_.requests; }
  int64_t size(ServiceClass service_class) const { return load(service_class).requests; }
  int64_t tokens() const { return total_.tokens; }
  int64_t tokens(ServiceClass service_class) const { return load(service_class).tokens; }
  const QueueLoad& load(ServiceClass service_class) const {
    return classes_[static_cast<size_t>(service_class)];
  }
  QueueLoad TenantLoad(absl::string_view tenant) const;
  // Of every known name, by name; the shared one, if used, first.
  std::vector<TenantStatus> Tenants() const;

  // How many are served before it. O(rank log rank). Precondition: it waits and is not held.
  int64_t rank_of(uint64_t id) const;
  // Waiting ids, ascending.
  std::vector<uint64_t> Ids() const;

  // CHECKs every relation between the parts. O(n log n).
  void CheckInvariants() const;

 private:
  enum class State : uint8_t { kUnused, kFresh, kTaken, kRestored };

  // Little more than a cache line: a long line of waiting requests is cold memory.
  struct Record {
    uint64_t id = 0;
    int64_t cost = 0;  // the estimate; once charged, what of it is not served
    TimePoint due;
    TimePoint arrival;
    TimePoint late_at;
    int64_t tag = 0;  // once taken
    Duration time;
    uint32_t tokens = 0;
    uint32_t bytes = 0;
    uint32_t tenant = 0;  // number in the table
    State state : 6 = State::kUnused;
    bool not_pinned : 1 = true;
    bool held : 1 = false;
    uint8_t service_class = 0;   // as the client gave it
    uint8_t line : 3 = 0;        // class it waits in, after ageing
    uint8_t charged_in : 3 = 0;  // class whose virtual time was moved
    uint8_t late : 1 = 0;
  };
  static_assert(sizeof(Record) == 72);

  Record& At(uint64_t id);
  const Record& At(uint64_t id) const;
  uint32_t ResolveTenant(absl::string_view name);
  bool Forgettable(uint32_t tenant) const;
  uint32_t FlowOf(const Record& record) const { return fairness_ ? record.tenant : 0; }
  int64_t Scaled(uint32_t tenant, int64_t cost) const;
  WaitingRequest WaitingOf(const Record& record) const;  // Precondition: fresh
  RankKey RankOf(const Record& record, int64_t tag) const;
  bool Ages(const Record& record) const {
    return record.line > 0 && ageing_step_ > Duration() && !ageing_stopped_[record.service_class];
  }
  TimePoint AgesAt(const Record& record) const {
    return record.arrival + ageing_step_ * (record.service_class - record.line + 1);
  }
  int64_t DueOf(const Record& record) const {
    return policy_ == QueuePolicy::kEdf ? record.due.ns() : 0;
  }
  void Adjust(uint32_t tenant, size_t line, int64_t delta);
  static bool InLine(const Record& record) {
    return !record.held && (record.state == State::kFresh || record.state == State::kRestored);
  }
  static QueueLoad LoadOf(const Record& record) {
    return {1, record.tokens, record.bytes, record.time};
  }
  // Whether a time is set at which it becomes late.
  bool MayBecomeLate(const Record& record) const {
    return late_share_ > 0 && InLine(record) && record.state == State::kFresh && record.late == 0 &&
           record.late_at != TimePoint::Max();
  }
  void Enter(const Record& record);  // into its line
  void Leave(const Record& record);  // out of its line
  static bool WaitsLate(const Record& record) {
    return InLine(record) && record.state == State::kFresh && record.late != 0;
  }
  void Forget(const Record& record);
  void Count(const Record& record, bool comes);
  void CheckRecord(const Record& record) const;

  const QueuePolicy policy_;
  const bool fairness_;
  const Duration ageing_step_;
  const int32_t late_share_;
  TenantTable tenants_;
  std::array<ClassLine, kServiceClassCount> lines_;
  std::array<QueueLoad, kServiceClassCount> classes_{};
  QueueLoad total_;
  int64_t held_ = 0;
  // Looked up, never walked.
  absl::flat_hash_map<uint64_t, uint32_t> slots_;
  std::vector<Record> records_;
  std::vector<uint32_t> free_;
  int64_t late_ = 0;
  absl::btree_set<std::pair<TimePoint, uint64_t>> ageing_;
  std::array<bool, kServiceClassCount> ageing_stopped_{};
  absl::btree_set<std::pair<TimePoint, uint64_t>> becoming_late_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_QUEUE_REQUEST_QUEUE_H_
