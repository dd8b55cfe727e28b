// A test case with a running daemon and a client of it.
//
// Ownership: the case owns both. Threading: the test's thread. Errors: a daemon that does not get
// ready fails the case, with its log.
#ifndef SCOVILLE_TESTS_E2E_DAEMON_TEST_H_
#define SCOVILLE_TESTS_E2E_DAEMON_TEST_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/library/client.h"
#include "scoville/v1/completions.pb.h"
#include "scoville/v1/pool.pb.h"
#include "tests/support/daemon_process.h"

namespace scoville::tests {

class DaemonTest : public testing::Test {
 protected:
  void StartDaemon(const DaemonOptions& options) {
    auto started = DaemonProcess::Start(options);
    ASSERT_TRUE(started.ok()) << started.status().message();
    daemon_ = *std::move(started);
    client_.emplace(client::ClientOptions{.address = daemon_->address()});
  }

  // What the case did is easier to understand with what the daemon said.
  void TearDown() override {
    if (HasFailure() && daemon_ != nullptr) {
      std::fprintf(stderr, "--- the daemon's log ---\n%s\n", daemon_->Log().c_str());
    }
  }

  DaemonProcess& daemon() { return *daemon_; }
  client::Client& client() { return *client_; }

  v1::PoolState Pool() {
    const auto pool = client().GetPool(v1::GetPoolRequest(), {});
    EXPECT_TRUE(pool.ok()) << pool.status();
    return pool.ok() ? *pool : v1::PoolState();
  }

  static uint64_t UsedBlocks(const v1::PoolState& pool) {
    uint64_t used = 0;
    for (const v1::Device& device : pool.devices()) {
      used += device.kv_blocks_used();
    }
    return used;
  }

  // Until no KV block and no completion stream is in use, for at most `limit`.
  bool BecomesIdle(Duration limit = Seconds(5)) {
    const absl::Time end = absl::Now() + absl::Nanoseconds(limit.value());
    while (true) {
      const v1::PoolState pool = Pool();
      if (UsedBlocks(pool) == 0 && pool.open_streams() == 0 && pool.waiting() == 0) {
        return true;
      }
      if (absl::Now() > end) {
        return false;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

 private:
  std::unique_ptr<DaemonProcess> daemon_;
  std::optional<client::Client> client_;
};

// A prompt that is continued for `tokens` tokens, whatever they are.
inline v1::GenerateRequest LongRequest(uint32_t tokens) {
  v1::GenerateRequest request;
  request.set_text("The hottest pepper");
  request.mutable_stop()->set_max_tokens(tokens);
  request.mutable_stop()->set_ignore_eos(true);
  request.mutable_sampling()->set_seed(1);
  return request;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_E2E_DAEMON_TEST_H_
