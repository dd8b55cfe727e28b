#include "server/engine/engine.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "scheduler/power/budget_config.h"
#include "server/runtime/mutex.h"
#include "server/runtime/real_event_loop.h"
#include "server/runtime/thread_compute_pool.h"

namespace scoville::server {

namespace {

int LanesOf(const EngineOptions& options) {
  if (options.compute_lanes > 0) {
    return options.compute_lanes;
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

class Engine::Impl {
 public:
  ~Impl() {
    if (!thread_.joinable()) {
      return;
    }
    loop_.Post([this] { WindDown(); });
    thread_.join();
  }

  absl::Status Start(const EngineOptions& options, const model::LoadedModel* model,
                     scheduler::Observer* observer) {
    thread_ = std::thread([this, options, model, observer] {
      const absl::Status status = Build(options, *model, observer);
      Report(status);
      if (status.ok()) {
        loop_.Run();
      }
      scheduler_.reset();
      pool_.reset();
      compute_.reset();
    });
    absl::Status status = AwaitReport();
    if (!status.ok()) {
      thread_.join();
    }
    return status;
  }

  RealEventLoop loop_;
  std::unique_ptr<ComputePool> compute_;
  std::unique_ptr<device::DevicePool> pool_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;

 private:
  absl::Status Build(const EngineOptions& options, const model::LoadedModel& model,
                     scheduler::Observer* observer) {
    if (options.pool.executor == device::ExecutorKind::kFunctional) {
      compute_ = std::make_unique<ThreadComputePool>(&loop_, LanesOf(options));
    }
    ASSIGN_OR_RETURN(pool_,
                     device::DevicePool::Create(&loop_, options.pool, model, compute_.get()));
    scheduler::SchedulerOptions scheduler_options = options.scheduler;
    scheduler_options.context = model.config.context;
    scheduler_options.vocabulary = model.config.vocabulary;
    scheduler_options.max_step_tokens = options.pool.max_step_tokens;
    std::vector<Power> floors;
    for (const device::Device* device : pool_->devices()) {
      floors.push_back(device->power().min_cap());
    }
    RETURN_IF_ERROR(scheduler::CheckFleetPower(scheduler_options.fleet, floors));
    scheduler_ = std::make_unique<scheduler::Scheduler>(&loop_, pool_->devices(), scheduler_options,
                                                        observer);
    return absl::OkStatus();
  }

  // Ends what is left, waits for the steps under way, then stops the loop.
  void WindDown() {
    scheduler_->StartDrain();
    scheduler_->EndAll(scheduler::Outcome::kDraining);
    const std::vector<device::Device*> devices = pool_->devices();
    const bool busy = std::any_of(devices.begin(), devices.end(),
                                  [](const device::Device* d) { return d->busy(); });
    if (!busy && scheduler_->idle()) {
      loop_.Stop();
      return;
    }
    loop_.RunAt(loop_.Now() + Milliseconds(1), EventClass::kEnd, 0, [this] { WindDown(); });
  }

  void Report(const absl::Status& status) {
    MutexLock lock(&mutex_);
    built_ = status;
    reported_.NotifyAll();
  }

  absl::Status AwaitReport() {
    MutexLock lock(&mutex_);
    while (!built_) {
      reported_.Wait(&mutex_);
    }
    return *built_;
  }

  std::thread thread_;
  Mutex mutex_;
  CondVar reported_;
  std::optional<absl::Status> built_ ABSL_GUARDED_BY(mutex_);
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(const EngineOptions& options,
                                                      const model::LoadedModel* model,
                                                      scheduler::Observer* observer) {
  auto impl = std::make_unique<Impl>();
  RETURN_IF_ERROR(impl->Start(options, model, observer));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

bool Engine::Post(absl::AnyInvocable<void()> fn) { return impl_->loop_.Post(std::move(fn)); }

void Engine::SetTurnHook(absl::AnyInvocable<void()> hook) {
  // On the engine thread, since the loop already runs.
  impl_->loop_.Post(
      [this, hook = std::move(hook)]() mutable { impl_->loop_.SetTurnHook(std::move(hook)); });
}

TimePoint Engine::Now() const { return impl_->loop_.RealNow(); }
TimePoint Engine::LastTurn() const { return impl_->loop_.LastTurn(); }
scheduler::Scheduler& Engine::scheduler() { return *impl_->scheduler_; }
device::DevicePool& Engine::pool() { return *impl_->pool_; }
scheduler::FleetPower& Engine::fleet_power() { return impl_->scheduler_->fleet(); }

}  // namespace scoville::server
