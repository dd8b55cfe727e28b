// Nanoseconds of the waiting line and of the deadline book; tests/bench/queue/README.md says what
// each line is.
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "scheduler/queue/deadline_book.h"
#include "scheduler/queue/request_queue.h"
#include "tests/support/nanoseconds.h"

namespace scoville::scheduler {
namespace {

constexpr int64_t kPeek = 41;  // a head, those that may pass it, and spare

std::vector<std::string> Names(int64_t tenants) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < tenants; ++i) {
    names.push_back("tenant-" + std::to_string(i));
  }
  return names;
}

// A line of `waiting` requests that stays so long: each call takes one out and puts one in.
class Line {
 public:
  Line(int64_t waiting, int64_t tenants, QueuePolicy policy)
      : names_(Names(tenants)), queue_(Options(waiting, policy)) {
    for (int64_t i = 0; i < waiting; ++i) {
      Push();
    }
  }

  int64_t Turn() {
    queue_.Peek(1, &ids_);
    const uint64_t id = ids_[0];
    const RankKey key = queue_.Take(id);
    queue_.Serve(id, 5000);
    queue_.Remove(id);
    Push();
    return key.tag & 1;
  }

  int64_t Peek() {
    queue_.Peek(kPeek, &ids_);
    return static_cast<int64_t>(ids_.back() & 1);
  }

  // Of the same request each time.
  int64_t TakeAndRestore() {
    queue_.Peek(1, &ids_);
    const RankKey key = queue_.Take(ids_[0]);
    queue_.Restore(ids_[0], key);
    return key.tag & 1;
  }

  int64_t Serve(int64_t i) {
    if (i == 0) {
      queue_.Peek(1, &ids_);
      running_ = ids_[0];
      queue_.Take(running_);
    }
    queue_.Serve(running_, 1);
    return 1;
  }

 private:
  static QueueOptions Options(int64_t waiting, QueuePolicy policy) {
    QueueOptions options;
    options.policy = policy;
    options.expected = 2 * waiting;
    options.fairness.max_tenants = 4097;
    return options;
  }

  void Push() {
    QueueEntry entry;
    entry.id = next_id_++;
    entry.tenant = names_[RandomBelow(1, 1, entry.id, names_.size())];
    entry.cost = 1000 + static_cast<int64_t>(RandomBelow(1, 2, entry.id, 1'000'000));
    entry.due =
        TimePoint(static_cast<int64_t>(entry.id * 1000 + RandomBelow(1, 3, entry.id, 50'000'000)));
    entry.tokens = 100;
    queue_.Push(entry);
  }

  const std::vector<std::string> names_;
  RequestQueue queue_;
  std::vector<uint64_t> ids_;
  uint64_t next_id_ = 1;
  uint64_t running_ = 0;
};

void RunLines() {
  for (const QueuePolicy policy : {QueuePolicy::kFcfs, QueuePolicy::kEdf}) {
    for (const int64_t tenants : {1, 100, 4096}) {
      for (const int64_t waiting : {1'000, 100'000}) {
        const std::string at = std::string(policy == QueuePolicy::kFcfs ? "_fcfs_" : "_edf_") +
                               std::to_string(tenants) + "x" + std::to_string(waiting);
        Line line(waiting, tenants, policy);
        tests::ReportNanoseconds("turn" + at, 100'000, [&](int64_t) { return line.Turn(); });
        tests::ReportNanoseconds("peek41" + at, 20'000, [&](int64_t) { return line.Peek(); });
        tests::ReportNanoseconds("take_restore" + at, 100'000,
                                 [&](int64_t) { return line.TakeAndRestore(); });
        tests::ReportNanoseconds("serve" + at, 100'000, [&](int64_t i) { return line.Serve(i); });
      }
    }
  }
}

void RunBook() {
  for (const int64_t waiting : {1'000, 100'000}) {
    DeadlineBook book({8, DeadlineBook::kWholeShare / 2});
    uint64_t next_id = 1;
    const auto deadline = [](uint64_t id) {
      return TimePoint(static_cast<int64_t>(RandomBelow(2, 1, id, 1'000'000'000'000)));
    };
    const auto add = [&] {
      book.Add(next_id, deadline(next_id), Duration(static_cast<int64_t>(next_id % 1000)));
      ++next_id;
    };
    for (int64_t i = 0; i < waiting; ++i) {
      add();
    }
    const std::string at = "_" + std::to_string(waiting);
    tests::ReportNanoseconds("book_feasible" + at, 100'000, [&](int64_t i) {
      return book.Feasible(TimePoint(i), deadline(static_cast<uint64_t>(i)), Duration(100)) ? 1 : 0;
    });
    tests::ReportNanoseconds("book_add_remove" + at, 50'000, [&](int64_t) {
      book.Remove(next_id - static_cast<uint64_t>(waiting));
      add();
      return 1;
    });
    tests::ReportNanoseconds("book_least_slack" + at, 1'000'000,
                             [&](int64_t i) { return book.LeastSlack(TimePoint(i)).value() & 1; });
    tests::ReportNanoseconds("book_capacity" + at, 20, [&](int64_t i) {
      book.SetCapacity({8, DeadlineBook::kWholeShare / 2 + i % 2 + 1});
      return book.LeastSlack(TimePoint(i)).value() & 1;
    });
  }
}

}  // namespace
}  // namespace scoville::scheduler

int main() {
  scoville::scheduler::RunLines();
  scoville::scheduler::RunBook();
  return 0;
}
