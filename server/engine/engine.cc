#include "server/engine/engine.h"

#include <algorithm>
#include <future>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "scheduler/power/budget_config.h"
#include "server/constraint/mask_worker.h"
#include "server/runtime/mutex.h"
#include "server/runtime/real_event_loop.h"
#include "server/runtime/thread_compute_pool.h"

namespace scoville::server {

namespace {

constexpr Duration kDrainPoll = Milliseconds(1);
constexpr Duration kUnloadPoll = Milliseconds(10);

int LanesOf(int asked) {
  return asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

bool IsFunctional(const device::PoolOptions& options) {
  return options.executor == device::ExecutorKind::kFunctional;
}

DeploymentFacts FactsOf(const device::PoolOptions& options, const model::LoadedModel& model,
                        const device::Profile& profile) {
  DeploymentFacts facts;
  facts.model = model.id;
  facts.profile = profile.name;
  facts.executor = IsFunctional(options) ? "functional" : "synthetic";
  facts.chips_per_device = options.parallelism.chips;
  facts.kv_block_size = options.kv_block_size;
  facts.overhead_watts_per_chip = profile.overhead_power.value;
  return facts;
}

// Nothing of it is under way any more.
bool Quiet(Deployment& deployment) {
  const std::vector<device::Device*> devices = deployment.pool().devices();
  return deployment.scheduler().idle() &&
         std::none_of(devices.begin(), devices.end(),
                      [](const device::Device* device) { return device->busy(); });
}

}  // namespace

class Engine::Impl {
 public:
  explicit Impl(int compute_lanes) : compute_lanes_(compute_lanes) {
    thread_ = std::thread([this] {
      loop_.Run();
      for (const DeploymentPtr& deployment : deployments()) {
        Close(*deployment);
      }
      compute_.reset();
    });
  }

  ~Impl() {
    loop_.Post([this] { WindDown(); });
    thread_.join();
  }

  // `observer` may be nullptr: the deployment's own.
  absl::StatusOr<DeploymentPtr> Add(const EngineOptions& options,
                                    std::shared_ptr<const model::LoadedModel> model,
                                    scheduler::Observer* observer) ABSL_LOCKS_EXCLUDED(mutex_) {
    auto deployment = std::make_shared<Deployment>();
    deployment->model_ = std::move(model);
    deployment->constraints_ =
        std::make_unique<ConstraintCache>(deployment->model_->tokenizer.get(), options.constraints,
                                          [this] { return loop_.RealNow(); });
    deployment->masks_ = std::make_unique<MaskWorker>(
        &mask_thread_, options.constraints.mask_steps,
        [this](absl::AnyInvocable<void()> fn) { loop_.Post(std::move(fn)); });
    ASSIGN_OR_RETURN(
        std::unique_ptr<device::DevicePool> pool,
        device::DevicePool::Prepare(options.pool, deployment->model(), LanesOf(compute_lanes_)));
    // Whoever finds it in the list may read them.
    deployment->facts_ = FactsOf(options.pool, deployment->model(), pool->profile());
    {
      MutexLock lock(&mutex_);
      for (const DeploymentPtr& other : list_) {
        if (other->id() == deployment->id()) {
          return absl::AlreadyExistsError(
              absl::StrCat("model '", deployment->id(), "' is served already"));
        }
      }
      deployment->facts_.number = next_number_++;
      list_.push_back(deployment);
    }
    std::promise<absl::Status> built;
    const bool posted =
        loop_.Post([&] { built.set_value(Build(options, observer, *deployment, pool)); });
    const absl::Status status =
        posted ? built.get_future().get() : absl::UnavailableError("the engine is stopping");
    if (!status.ok()) {
      Forget(deployment.get());
      return status;
    }
    return deployment;
  }

  bool Remove(const DeploymentPtr& deployment, absl::AnyInvocable<void()> gone) {
    DeploymentState ready = DeploymentState::kReady;
    DeploymentState loading = DeploymentState::kLoading;
    if (!deployment->state_.compare_exchange_strong(ready, DeploymentState::kUnloading) &&
        !deployment->state_.compare_exchange_strong(loading, DeploymentState::kUnloading)) {
      return false;
    }
    return loop_.Post([this, deployment, gone = std::move(gone)]() mutable {
      if (deployment->open()) {
        deployment->scheduler().StartDrain();
      }
      CloseWhenQuiet(deployment, std::move(gone));
    });
  }

  std::vector<DeploymentPtr> deployments() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return list_;
  }

  // Those with devices; engine thread.
  std::vector<DeploymentPtr> open() const {
    std::vector<DeploymentPtr> out = deployments();
    out.erase(
        std::remove_if(out.begin(), out.end(), [](const DeploymentPtr& d) { return !d->open(); }),
        out.end());
    return out;
  }

  static void SetReady(Deployment& deployment) {
    DeploymentState loading = DeploymentState::kLoading;
    deployment.state_.compare_exchange_strong(loading, DeploymentState::kReady);
  }

  // Its end is not worth a turn of the loop. Dropped jobs take what they hold with them as well.
  void Discard(absl::AnyInvocable<void()> last_owner) {
    const bool posted = reclaim_thread_.Post(Bytes(), std::move(last_owner));
    CHECK(posted);  // weighs nothing, and the engine thread ends before the worker
  }

  RealEventLoop loop_;

 private:
  BackgroundWorker reclaim_thread_{Bytes(1)};
  BackgroundWorker mask_thread_{MaskWorker::kMostWaiting};  // posts to the loop

  // Takes the pool if all is well.
  absl::Status Build(const EngineOptions& options, scheduler::Observer* observer,
                     Deployment& deployment, std::unique_ptr<device::DevicePool>& pool) {
    if (deployment.state() != DeploymentState::kLoading) {
      return absl::CancelledError(
          absl::StrCat("model '", deployment.id(), "' was unloaded while it was loaded"));
    }
    const model::LoadedModel& model = deployment.model();
    if (IsFunctional(options.pool) && compute_ == nullptr) {
      compute_ = std::make_unique<ThreadComputePool>(&loop_, LanesOf(compute_lanes_));
    }
    RETURN_IF_ERROR(pool->Open(&loop_, compute_.get()));
    scheduler::SchedulerOptions scheduler_options = options.scheduler;
    scheduler_options.context = model.config.context;
    scheduler_options.vocabulary = model.config.vocabulary;
    scheduler_options.max_step_tokens = options.pool.max_step_tokens;
    scheduler_options.model_id = model.id;
    scheduler_options.mask_timeout = options.constraints.mask_timeout;
    std::vector<Power> floors;
    for (const device::Device* device : pool->devices()) {
      floors.push_back(device->power().min_cap());
    }
    RETURN_IF_ERROR(scheduler::CheckFleetPower(scheduler_options.fleet, floors));
    if (observer == nullptr) {
      deployment.metrics_ = std::make_unique<MetricsObserver>(pool->devices().size());
      observer = deployment.metrics_.get();
    }
    deployment.pool_ = std::move(pool);
    deployment.scheduler_ = std::make_unique<scheduler::Scheduler>(
        &loop_, deployment.pool_->devices(), scheduler_options, observer, deployment.masks_.get());
    return absl::OkStatus();
  }

  // What is left of it: its devices, of which none is busy.
  std::unique_ptr<device::DevicePool> Close(Deployment& deployment) {
    deployment.scheduler_.reset();
    deployment.state_.store(DeploymentState::kGone);
    Forget(&deployment);
    return std::move(deployment.pool_);
  }

  void Forget(const Deployment* deployment) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    list_.erase(std::remove_if(list_.begin(), list_.end(),
                               [=](const DeploymentPtr& d) { return d.get() == deployment; }),
                list_.end());
  }

  void CloseWhenQuiet(const DeploymentPtr& deployment, absl::AnyInvocable<void()> gone) {
    if (!deployment->open()) {
      gone();  // Build finds it unloaded
      return;
    }
    if (Quiet(*deployment)) {
      std::unique_ptr<device::DevicePool> pool = Close(*deployment);
      gone();
      Discard([pool = std::move(pool), model = deployment]() mutable {
        pool.reset();
        model.reset();  // with the weights, unless a request still holds it
      });
      return;
    }
    loop_.RunAt(loop_.Now() + kUnloadPoll, EventClass::kEnd, 0,
                [this, deployment, gone = std::move(gone)]() mutable {
                  CloseWhenQuiet(deployment, std::move(gone));
                });
  }

  // Ends what is left, waits for the steps under way, then stops the loop.
  void WindDown() {
    bool quiet = true;
    for (const DeploymentPtr& deployment : open()) {
      deployment->scheduler().StartDrain();
      deployment->scheduler().EndAll(scheduler::Outcome::kDraining);
      quiet = Quiet(*deployment) && quiet;
    }
    if (quiet) {
      loop_.Stop();
      return;
    }
    loop_.RunAt(loop_.Now() + kDrainPoll, EventClass::kEnd, 0, [this] { WindDown(); });
  }

  const int compute_lanes_;
  std::thread thread_;

  // Engine thread.
  std::unique_ptr<ComputePool> compute_;

  mutable Mutex mutex_;
  std::vector<DeploymentPtr> list_ ABSL_GUARDED_BY(mutex_);
  int64_t next_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

std::unique_ptr<Engine> Engine::Start(int compute_lanes) {
  return std::unique_ptr<Engine>(new Engine(std::make_unique<Impl>(compute_lanes)));
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(const EngineOptions& options,
                                                      const model::LoadedModel* model,
                                                      scheduler::Observer* observer) {
  std::unique_ptr<Engine> engine = Start(options.compute_lanes);
  std::shared_ptr<const model::LoadedModel> borrowed(model, [](const model::LoadedModel*) {});
  ASSIGN_OR_RETURN(const DeploymentPtr deployment,
                   engine->impl_->Add(options, std::move(borrowed), observer));
  engine->SetReady(deployment);
  return engine;
}

absl::StatusOr<Engine::DeploymentPtr> Engine::Add(const EngineOptions& options,
                                                  std::shared_ptr<const model::LoadedModel> model) {
  return impl_->Add(options, std::move(model), nullptr);
}

void Engine::SetReady(const DeploymentPtr& deployment) { Impl::SetReady(*deployment); }

bool Engine::Remove(const DeploymentPtr& deployment, absl::AnyInvocable<void()> gone) {
  return impl_->Remove(deployment, std::move(gone));
}

std::vector<Engine::DeploymentPtr> Engine::deployments() const { return impl_->deployments(); }

Engine::DeploymentPtr Engine::Find(absl::string_view id) const {
  const std::vector<DeploymentPtr> all = deployments();
  if (id.empty()) {
    return all.size() == 1 ? all.front() : nullptr;
  }
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const DeploymentPtr& d) { return d->id() == id; });
  return found == all.end() ? nullptr : *found;
}

bool Engine::Post(absl::AnyInvocable<void()> fn) { return impl_->loop_.Post(std::move(fn)); }

void Engine::Discard(std::unique_ptr<device::Device> device) {
  impl_->Discard([device = std::move(device)]() mutable { device.reset(); });
}

void Engine::SetTurnHook(absl::AnyInvocable<void()> hook) {
  // On the engine thread, since the loop already runs.
  impl_->loop_.Post(
      [this, hook = std::move(hook)]() mutable { impl_->loop_.SetTurnHook(std::move(hook)); });
}

TimePoint Engine::Now() const { return impl_->loop_.RealNow(); }
TimePoint Engine::LastTurn() const { return impl_->loop_.LastTurn(); }

bool Engine::idle() const {
  const std::vector<DeploymentPtr> open = impl_->open();
  return std::all_of(open.begin(), open.end(),
                     [](const DeploymentPtr& d) { return d->scheduler().idle(); });
}

void Engine::StartDrain() {
  for (const DeploymentPtr& deployment : impl_->open()) {
    deployment->scheduler().StartDrain();
  }
}

void Engine::EndAll(scheduler::Outcome outcome) {
  for (const DeploymentPtr& deployment : impl_->open()) {
    deployment->scheduler().EndAll(outcome);
  }
}

scheduler::Scheduler& Engine::scheduler() { return impl_->open().front()->scheduler(); }
device::DevicePool& Engine::pool() { return impl_->open().front()->pool(); }
scheduler::FleetPower& Engine::fleet_power() { return impl_->open().front()->fleet_power(); }

}  // namespace scoville::server
