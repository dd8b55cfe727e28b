#include "server/http/core_reader.h"

#include <utility>

namespace scoville::server {

namespace {

DeploymentSnapshot SnapshotOf(Deployment& deployment) {
  DeploymentSnapshot out;
  out.facts = deployment.facts();
  if (deployment.metrics() != nullptr) {
    out.core.counters = deployment.metrics()->counters();
  }
  out.core.pool = deployment.scheduler().Status();
  out.core.budgets = deployment.fleet_power().Nodes();
  out.core.stuck = deployment.scheduler().CheckLiveness().stuck;
  return out;
}

}  // namespace

CoreReader::CoreReader(Engine* engine, HttpServer* http)
    : engine_(engine), http_(http), last_(std::make_shared<Snapshot>()) {}

CoreReader::~CoreReader() { *alive_ = false; }

void CoreReader::Read(std::function<void(const Snapshot&)> done) {
  // Whichever comes first, the answer or the end of patience, takes `done`.
  auto waiting = std::make_shared<std::function<void(const Snapshot&)>>(std::move(done));
  const auto answer = [waiting](const Snapshot& snapshot) {
    if (*waiting) {
      const auto callback = std::exchange(*waiting, nullptr);
      callback(snapshot);
    }
  };
  const std::shared_ptr<bool> alive = alive_;
  engine_->Post([this, alive, answer] {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->now = engine_->Now();
    for (const std::shared_ptr<Deployment>& deployment : engine_->deployments()) {
      if (deployment->open()) {
        snapshot->deployments.push_back(SnapshotOf(*deployment));
      }
    }
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
