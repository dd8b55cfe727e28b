// What running streams notice while devices and models come and go beside them: the longest turn of
// the engine's thread, in its own processor time, and the longest gap between two tokens of a
// stream. tests/bench/engine/README.md.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "server/engine/engine.h"
#include "server/log/logger.h"
#include "server/main/model_loader.h"
#include "tests/support/model_path.h"

namespace scoville {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 9;
constexpr int64_t kFew = 2;
constexpr int64_t kMany = 6;
constexpr uint32_t kTouchedPages = 2048;  // of 4,096 that a device has
constexpr auto kSettle = std::chrono::milliseconds(60);

double Milliseconds(Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double ThreadMilliseconds() {
  timespec t;
  CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

// Engine thread.
struct Longest {
  double at = 0;  // processor time when the turn before ended
  double turn = 0;
  double gap = 0;
};

// Notes the gaps between its tokens.
class GapSink final : public scheduler::TokenSink {
 public:
  GapSink(Longest* longest, std::function<void()> ended)
      : longest_(longest), ended_(std::move(ended)) {}
  void OnPromptScores(int64_t, absl::Span<const model::SampledToken>) override {}
  void OnToken(const model::SampledToken&, TimePoint) override {
    const Clock::time_point now = Clock::now();
    if (last_ != Clock::time_point()) {
      longest_->gap = std::max(longest_->gap, Milliseconds(now - last_));
    }
    last_ = now;
  }
  void OnEnd(const scheduler::RequestRecord&) override { ended_(); }
  bool Congested() const override { return false; }

 private:
  Longest* const longest_;
  const std::function<void()> ended_;
  Clock::time_point last_;
};

server::ServerConfig ConfigOf(const std::string& id) {
  server::ServerConfig config;
  config.model.path = tests::ModelPath();
  config.model.id = id;
  config.pool.devices = kFew;
  config.compute.lanes = 1;  // the other core is for the engine and what is done beside it
  return config;
}

class Bench {
 public:
  Bench()
      : log_(server::LogLevel::kError, server::LogFormat::kText),
        engine_(server::Engine::Start(1)),
        loader_(ConfigOf("stream"), "", engine_.get(), &log_) {
    engine_->SetTurnHook([this] {
      const double now = ThreadMilliseconds();
      longest_.turn = std::max(longest_.turn, now - longest_.at);
      longest_.at = now;
    });
    deployment_ = *loader_.Load(ConfigOf("stream"));
    CHECK(loader_.MakeReady(deployment_).ok());
    Stream();
  }
  ~Bench() {
    stopping_ = true;
    loader_.Stop();
    engine_.reset();  // its last tokens are told to what is freed after it
  }

  void Run() {
    for (int round = 0; round < kRounds; ++round) {
      Measure("nothing", [] {});
      Measure("scale 2 to 6", [&] { Scale(kMany); });
      TouchPages();
      Measure("scale 6 to 2", [&] { Scale(kFew); });
      std::shared_ptr<server::Deployment> other;
      Measure("load", [&] { other = *loader_.Load(ConfigOf("other")); });
      CHECK(loader_.MakeReady(other).ok());
      Measure("unload", [&] {
        CHECK(loader_.Unload(other));
        other.reset();
        while (engine_->Find("other") != nullptr) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      });
    }
    for (const auto& [what, found] : found_) {
      std::printf("{\"what\": \"%s\", \"turn_ms\": %.2f, \"gap_ms\": %.1f, \"call_ms\": %.1f}\n",
                  what.c_str(), Median(found.turn), Median(found.gap), Median(found.call));
    }
  }

 private:
  struct Found {
    std::vector<double> turn;
    std::vector<double> gap;
    std::vector<double> call;
  };

  void OnEngine(const std::function<void()>& fn) {
    std::promise<void> done;
    CHECK(engine_->Post([&] {
      fn();
      done.set_value();
    }));
    done.get_future().wait();
  }

  // One stream after the other, without an end.
  void Stream() {
    engine_->Post([this] {
      scheduler::Request request;
      request.external_id = "stream";
      request.prompt.assign(8, 1);
      request.max_tokens = 1500;
      request.sampling.temperature = 0;
      request.sink = std::make_unique<GapSink>(&longest_, [this] {
        if (!stopping_) {
          Stream();
        }
      });
      CHECK(!deployment_->scheduler().Submit(std::move(request)).refusal);
    });
  }

  void Scale(int64_t devices) {
    OnEngine([&] { CHECK(loader_.Scale(*deployment_, devices, "").ok()); });
  }

  // As devices are that have served for a while.
  void TouchPages() {
    OnEngine([&] {
      const std::vector<device::Device*> devices = deployment_->pool().devices();
      for (size_t i = kFew; i < devices.size(); ++i) {
        for (uint32_t page = 0; page < kTouchedPages; ++page) {
          devices[i]->CopyFromPeer(*devices[0], 0, page);
        }
      }
    });
  }

  void Measure(const std::string& what, const std::function<void()>& fn) {
    std::this_thread::sleep_for(kSettle);
    OnEngine([&] {
      longest_.turn = longest_.gap = 0;
      longest_.at = ThreadMilliseconds();
    });
    const Clock::time_point begin = Clock::now();
    fn();
    Found& found = found_[what];
    found.call.push_back(Milliseconds(Clock::now() - begin));
    std::this_thread::sleep_for(kSettle);
    OnEngine([&] {
      found.turn.push_back(longest_.turn);
      found.gap.push_back(longest_.gap);
    });
  }

  server::Logger log_;
  Longest longest_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<server::Engine> engine_;
  server::ModelLoader loader_;
  std::shared_ptr<server::Deployment> deployment_;
  std::map<std::string, Found> found_;
};

}  // namespace
}  // namespace scoville

int main() {
  scoville::Bench().Run();
  return 0;
}
