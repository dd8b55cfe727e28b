// What a world of random operations counts: how often it went where it should go, and what it knows
// of its requests whatever the scheduler does.
#ifndef SCOVILLE_TESTS_SIMULATION_OPERATIONS_BOOKS_H_
#define SCOVILLE_TESTS_SIMULATION_OPERATIONS_BOOKS_H_

#include <array>
#include <cstdint>
#include <iostream>
#include <map>

#include "absl/types/span.h"
#include "base/status_macros.h"
#include "scheduler/scheduler.h"

namespace scoville::tests {

// Over all worlds: a swarm that avoids a corner proves nothing of it.
struct Reached {
  int64_t operations = 0;
  int64_t events = 0;
  int64_t submitted = 0;
  int64_t admitted = 0;
  int64_t ended = 0;
  int64_t cancels = 0;
  int64_t congested = 0;
  int64_t losses = 0;  // of devices
  int64_t drains = 0;
  int64_t returns = 0;
  int64_t added = 0;  // devices
  int64_t removed = 0;
  int64_t not_removed = 0;  // because the pool could not do without
  int64_t page_losses = 0;
  int64_t preempted = 0;
  int64_t migrated = 0;
  int64_t followed = 0;  // events at which somebody waited for a promised prefix
  int64_t steps = 0;
  int64_t tokens = 0;
  int64_t late_masks = 0;
  std::array<int64_t, scheduler::kOutcomes> by_outcome{};
};

// What the world knows of its requests, whatever the scheduler does.
struct Books {
  std::map<uint64_t, bool*> live;  // by id: whether the reader is behind
  int64_t sinks = 0;               // not destroyed yet
  int64_t ended = 0;
};

class CountedSink final : public scheduler::TokenSink {
 public:
  explicit CountedSink(Books* books) : books_(books) { ++books_->sinks; }
  ~CountedSink() override { --books_->sinks; }
  void OnPromptScores(int64_t, absl::Span<const model::SampledToken>) override {}
  void OnToken(const model::SampledToken&, TimePoint) override {
    CHECK(!ended_);
    ++tokens_;
  }
  void OnEnd(const scheduler::RequestRecord& record) override {
    CHECK(!ended_);
    ended_ = true;
    ++books_->ended;
    CHECK_EQ(tokens_, record.output_tokens);
    CHECK_EQ(books_->live.erase(record.id.value), size_t{1});
  }
  bool Congested() const override { return behind; }

  bool behind = false;

 private:
  Books* const books_;
  bool ended_ = false;
  int64_t tokens_ = 0;
};

class CountingObserver final : public scheduler::Observer {
 public:
  explicit CountingObserver(Reached* reached) : reached_(reached) {}
  void OnAdmitted(const scheduler::RequestRecord&) override { ++reached_->admitted; }
  void OnRefused(const scheduler::Refusal&, TimePoint) override {}
  void OnPreempted(const scheduler::RequestRecord&, TimePoint) override { ++reached_->preempted; }
  void OnMigrated(const scheduler::RequestRecord&, TimePoint) override { ++reached_->migrated; }
  void OnDeviceLost(DeviceId, TimePoint) override { ++reached_->losses; }
  void OnStep(const device::StepRecord&) override { ++reached_->steps; }
  void OnToken(const scheduler::RequestRecord&, TimePoint, TimePoint) override {
    ++reached_->tokens;
  }
  void OnRequest(const scheduler::RequestRecord& record) override {
    ++reached_->ended;
    ++reached_->by_outcome[static_cast<size_t>(record.outcome)];
  }

 private:
  Reached* const reached_;
};

inline void Print(const Reached& r) {
  std::cout << "operations " << r.operations << ", events " << r.events << "\nsubmitted "
            << r.submitted << ", admitted " << r.admitted << ", ended " << r.ended << ", cancels "
            << r.cancels << ", readers behind " << r.congested << "\npreempted " << r.preempted
            << ", moved " << r.migrated << ", devices lost " << r.losses << ", drained " << r.drains
            << ", returned " << r.returns << ", page losses " << r.page_losses << ", followed "
            << r.followed << ", added " << r.added << ", removed " << r.removed << ", kept "
            << r.not_removed << "\nsteps " << r.steps << ", tokens " << r.tokens << ", late masks "
            << r.late_masks << "\nby outcome";
  for (const int64_t count : r.by_outcome) {
    std::cout << " " << count;
  }
  std::cout << std::endl;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SIMULATION_OPERATIONS_BOOKS_H_
