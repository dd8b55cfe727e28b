#include "server/http/core_reader.h"

#include <utility>

namespace scoville::server {

CoreReader::CoreReader(Engine* engine, const MetricsObserver* observer, HttpServer* http,
                       size_t devices)
    : engine_(engine), observer_(observer), http_(http), last_(std::make_shared<CoreSnapshot>()) {
  last_->counters = CoreCounters(devices);
}

CoreReader::~CoreReader() { *alive_ = false; }

void CoreReader::Read(std::function<void(const CoreSnapshot&)> done) {
  // Whichever comes first, the answer or the end of patience, takes `done`.
  auto waiting = std::make_shared<std::function<void(const CoreSnapshot&)>>(std::move(done));
  const auto answer = [waiting](const CoreSnapshot& snapshot) {
    if (*waiting) {
      const auto callback = std::exchange(*waiting, nullptr);
      callback(snapshot);
    }
  };
  const std::shared_ptr<bool> alive = alive_;
  engine_->Post([this, alive, answer] {
    auto snapshot = std::make_shared<CoreSnapshot>();
    snapshot->counters = observer_->counters();
    snapshot->pool = engine_->scheduler().Status();
    snapshot->budgets = engine_->fleet_power().Nodes();
    snapshot->stuck = engine_->scheduler().CheckLiveness().stuck;
    http_->Post([this, alive, answer, snapshot] {
      if (*alive) {
        last_ = snapshot;
        answer(*snapshot);
      }
    });
  });
  http_->PostAfter(kPatience, [this, alive, answer] {
    if (*alive) {
      answer(*last_);
    }
  });
}

}  // namespace scoville::server
