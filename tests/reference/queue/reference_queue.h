// The waiting line in plain loops over one list: slow, obvious, the oracle of RequestQueue.
//
// It has no limit of names. Threading: one thread. Errors: a CHECK.
#ifndef SCOVILLE_TESTS_REFERENCE_QUEUE_REFERENCE_QUEUE_H_
#define SCOVILLE_TESTS_REFERENCE_QUEUE_REFERENCE_QUEUE_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/queue/request_queue.h"

namespace scoville::tests {

class ReferenceQueue {
 public:
  explicit ReferenceQueue(scheduler::QueueOptions options) : options_(std::move(options)) {}

  void Push(const scheduler::QueueEntry& entry);
  // All waiting ids in the order of service.
  std::vector<uint64_t> Order() const;
  scheduler::RankKey Take(uint64_t id);
  void Restore(uint64_t id, const scheduler::RankKey& key);
  void Serve(uint64_t id, int64_t cost);
  int64_t Remove(uint64_t id);
  void Hold(uint64_t id);
  void Release(uint64_t id);
  void Age(TimePoint now);
  void MakeLate(uint64_t id);
  scheduler::QueueLoad Load(int service_class, const std::string& tenant) const;

 private:
  enum class State { kFresh, kTaken, kRestored };
  struct Item {
    scheduler::QueueEntry entry;
    std::string tenant;
    State state = State::kFresh;
    bool held = false;
    bool late = false;
    int line = 0;
    int charged_in = 0;
    int64_t unserved = 0;
    scheduler::RankKey key;
  };
  // By class and flow: virtual times, and how many were taken while late ones waited.
  using Times = std::map<std::pair<int, std::string>, int64_t>;

  Item& At(uint64_t id);
  std::string Flow(const Item& item) const;
  int64_t Scaled(const std::string& tenant, int64_t cost) const;
  int64_t Due(const Item& item) const;
  // The fresh item of the line to go next at these virtual times; nullptr if none.
  const Item* Next(const std::vector<Item>& items, int line, const Times& times,
                   const Times& since_late) const;
  // `taken` leaves `items`: whose turn is it in its flow then?
  void CountTurn(const Item& taken, const std::vector<Item>& rest, Times* since_late) const;
  bool LateWaits(const std::vector<Item>& items, int line, const std::string& flow) const;
  void Lift(const Item& item);
  void AgeClasses(TimePoint now);
  // After it left its line: with no late ones waiting, nobody has a turn to come.
  void NoLateLeft(const Item& gone);
  static int64_t TimeOf(const Times& times, int line, const std::string& flow);

  const scheduler::QueueOptions options_;
  std::vector<Item> items_;
  Times times_;
  Times since_late_;
  std::map<int, int64_t> floor_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_QUEUE_REFERENCE_QUEUE_H_
