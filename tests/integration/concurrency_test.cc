// Many clients that do as they please, for a while: no error that nobody asked for, and nothing
// left behind.
//
// SCOVILLE_SOAK_SECONDS sets how long (default 10), SCOVILLE_SOAK_SEED the choices. The daemon is
// the one of this build, so in a build with sanitizers it is the daemon they watch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/random.h"
#include "client/library/client.h"
#include "scoville/v1/completions.pb.h"
#include "scoville/v1/pool.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {
namespace {

constexpr int kStreams = 64;
constexpr int kConnections = 8;
constexpr int kKillers = 4;  // streams that are child processes, ended by SIGKILL

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  int64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// What happened, by kind; kinds that begin with "unexpected" fail the test.
class Tally {
 public:
  void Count(const std::string& kind) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++counts_[kind];
  }
  std::map<std::string, int> counts() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> counts_;
};

// One client thread: its choices follow from the seed and its number.
class Worker {
 public:
  Worker(int number, uint64_t seed, const std::string& address, Tally* tally)
      : number_(number),
        seed_(seed),
        address_(address),
        tally_(tally),
        // Channels of one user agent share a connection.
        client_({.address = address, .user_agent = absl::StrCat("soak-", number % kConnections)}) {}

  void Run(absl::Time end) {
    while (absl::Now() < end) {
      if (number_ < kKillers) {
        KillAClient();
        continue;
      }
      switch (Draw(4)) {
        case 0:
          Complete();
          break;
        case 1:
          CancelAfterSomeChunks();
          break;
        case 2:
          CancelFromOutside();
          break;
        case 3:
          RunOutOfTime();
          break;
      }
    }
  }

 private:
  uint64_t Draw(uint64_t below) { return RandomBelow(seed_, number_, draws_++, below); }

  v1::GenerateRequest Request(uint32_t tokens) {
    v1::GenerateRequest request;
    request.set_text(std::string(1 + Draw(100), 'a' + static_cast<char>(Draw(26))));
    request.mutable_stop()->set_max_tokens(tokens);
    request.mutable_stop()->set_ignore_eos(true);
    request.mutable_sampling()->set_seed(Draw(1000));
    return request;
  }

  void Expect(const char* what, const absl::Status& status, bool as_asked) {
    tally_->Count(
        absl::StrCat(as_asked ? "" : "unexpected: ", what, ": ",
                     as_asked ? absl::StatusCodeToString(status.code()) : status.ToString()));
  }

  void Complete() {
    // Now and then one that is long enough to run into others.
    const uint32_t wanted = static_cast<uint32_t>(Draw(8) == 0 ? 300 : 1 + Draw(40));
    uint64_t tokens = 0;
    const auto answer = client_.Generate(Request(wanted), {}, [&](const v1::Chunk& chunk) {
      tokens += chunk.tokens();
      return true;
    });
    Expect("complete", answer.status(), answer.ok() && tokens == wanted);
  }

  void CancelAfterSomeChunks() {
    uint64_t left = 1 + Draw(10);
    const auto answer =
        client_.Generate(Request(300), {}, [&](const v1::Chunk&) { return --left > 0; });
    // Chunks may hold many tokens, so that it may be over first.
    Expect("cancel", answer.status(), answer.ok() || absl::IsCancelled(answer.status()));
  }

  void CancelFromOutside() {
    client::CallCanceller canceller;
    client::CallOptions options;
    options.canceller = &canceller;
    const absl::Duration after = absl::Milliseconds(Draw(60));
    std::thread other([&] {
      absl::SleepFor(after);
      canceller.Cancel();
    });
    const absl::Status status = client_.Generate(Request(300), options, nullptr).status();
    other.join();
    Expect("cancel from outside", status, status.ok() || absl::IsCancelled(status));
  }

  void RunOutOfTime() {
    client::CallOptions options;
    options.timeout = Milliseconds(static_cast<int64_t>(1 + Draw(80)));
    const absl::Status status = client_.Generate(Request(300), options, nullptr).status();
    Expect("deadline", status, status.ok() || absl::IsDeadlineExceeded(status));
  }

  // The connection breaks without a word: the daemon sees only the socket's end.
  void KillAClient() {
    const std::string directory = MakeTempDir();
    ChildProcess::Options run;
    run.command = {
        ProgramPath("scoville"), "run", "--raw", "--max-tokens", "400", "--address", address_,
        "A long story"};
    run.output_path = run.error_path = directory + "/out";
    auto child = ChildProcess::Start(run);
    if (!child.ok()) {
      tally_->Count(absl::StrCat("unexpected: ", child.status().ToString()));
      return;
    }
    const int code = child->Wait(Milliseconds(static_cast<int64_t>(20 + Draw(200))));
    child->Signal(SIGKILL);
    child->Wait(Seconds(10));
    tally_->Count(code == -1  ? "disconnect"
                  : code == 0 ? "disconnect came too late"
                              : absl::StrCat("unexpected: program ended with ", code, ": ",
                                             ReadWholeFile(run.output_path)));
  }

  const int number_;
  const uint64_t seed_;
  const std::string address_;
  Tally* const tally_;
  client::Client client_;
  uint64_t draws_ = 0;
};

// True once the pool holds nothing of any request.
bool BecomesIdle(client::Client& client, v1::PoolState* last) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (absl::Now() < end) {
    const auto pool = client.GetPool(v1::GetPoolRequest(), {});
    if (pool.ok()) {
      *last = *pool;
      uint64_t held = pool->waiting() + pool->open_streams();
      for (const v1::Device& device : pool->devices()) {
        held += device.kv_blocks_used() + device.running();
      }
      if (held == 0) {
        return true;
      }
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return false;
}

TEST(Concurrency, ManyUnrulyClientsLeaveNothingBehind) {
  DaemonOptions options;
  // Few blocks, and sequences join as long as their prompts fit, so that they preempt each other.
  options.more_flags = {"--set=pool.kv_blocks=40", "--set=scheduler.join=prompt_fits",
                        "--log-level=warn"};
  auto daemon = DaemonProcess::Start(options);
  ASSERT_TRUE(daemon.ok()) << daemon.status().message();
  const absl::Time end = absl::Now() + absl::Seconds(FromEnvironment("SCOVILLE_SOAK_SECONDS", 10));
  const auto seed = static_cast<uint64_t>(FromEnvironment("SCOVILLE_SOAK_SEED", 1));

  Tally tally;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::thread> threads;
  for (int i = 0; i < kStreams; ++i) {
    workers.push_back(std::make_unique<Worker>(i, seed, (*daemon)->address(), &tally));
    threads.emplace_back([worker = workers.back().get(), end] { worker->Run(end); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }

  for (const auto& [kind, count] : tally.counts()) {
    std::printf("%6d  %s\n", count, kind.c_str());
    EXPECT_THAT(kind, testing::Not(testing::StartsWith("unexpected")));
  }
  // The test would show nothing if none of this had happened.
  for (const char* kind : {"complete: OK", "cancel: CANCELLED", "cancel from outside: CANCELLED",
                           "deadline: DEADLINE_EXCEEDED", "disconnect"}) {
    EXPECT_GT(tally.counts()[kind], 0) << kind;
  }

  client::Client client({.address = (*daemon)->address()});
  v1::PoolState pool;
  EXPECT_TRUE(BecomesIdle(client, &pool)) << pool.DebugString();
  std::printf("%6d  preemptions\n", static_cast<int>(pool.preemptions()));
  EXPECT_GT(pool.preemptions(), 0u);
  EXPECT_EQ((*daemon)->Metric("scoville_energy_unattributed_joules"), 0);
  (*daemon)->Signal(SIGTERM);
  EXPECT_EQ((*daemon)->Wait(Seconds(30)), 0);
  for (const char* trouble : {"Sanitizer", "CHECK failed", "runtime error"}) {
    EXPECT_THAT((*daemon)->Log(), testing::Not(testing::HasSubstr(trouble)));
  }
}

}  // namespace
}  // namespace scoville::tests
