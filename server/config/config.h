// What the daemon can be told, with the defaults.
//
// Every value is one key of the configuration file; server/config/settings.h has the table that
// gives a key its name, limits and help, and server/config/load_config.h merges flags, environment
// and file.
//
// Units: in the types; a written value carries its unit (250W, 512MiB, 30s). Zero means what the
// field's comment says. Ownership: a plain value. Threading: immutable once loaded. Errors: none.
#ifndef SCOVILLE_SERVER_CONFIG_CONFIG_H_
#define SCOVILLE_SERVER_CONFIG_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"
#include "scheduler/power/budget_tree.h"

namespace scoville::server {

struct ServerConfig {
  struct Listeners {
    std::string grpc = "127.0.0.1:50051";
    std::string http = "127.0.0.1:8000";
    bool allow_public = false;  // addresses that other machines can reach
  };
  struct Model {
    std::string path;  // empty: DefaultModelPath()
    std::string card;  // of a model that is only timed; empty: none
    std::string id;    // empty: the file's stem in lower case, or the card's name
  };
  struct Pool {
    int64_t devices = 4;
    std::string profile = "jalapeno-gen1";
    int64_t chips_per_device = 1;
    bool expert_parallel = false;  // whole experts on each chip
    bool data_parallel_attention = false;
    Power cap_per_device;  // zero: the profile's TDP
    Duration cap_window = Seconds(1);
    std::string governor = "predictive";
    std::string mode = "perf";
    Duration park_after;    // of idling; zero: never
    int64_t kv_blocks = 0;  // per device; zero: as many as fit
    bool prefix_cache = true;
    int64_t prefix_quota_blocks = 0;                 // of a tenant, for scheduler.prefix_ttl
    std::vector<scheduler::BudgetNodeSpec> budgets;  // which devices share which limit
  };
  struct HostTier {      // host memory behind the prefix cache of each device
    int64_t blocks = 0;  // zero: none
    int64_t bytes_per_second = 50'000'000'000;
    int64_t picojoules_per_byte = 40;
  };
  struct FleetPower {
    Power budget;                  // of all devices together, from the start; zero: none
    int64_t reserve_ppm = 50'000;  // of each budget, not handed out
    int64_t pue_milli = 1'000;     // thousandths
    Power overhead_per_device;     // at the wall beside each device
  };
  struct Limits {
    // What may wait; zero: no limit.
    int64_t max_queued_requests = 1024;
    int64_t max_queued_tokens = 8 << 20;        // of their prompts
    Bytes max_queued_bytes = Bytes(256 << 20);  // as clients sent them, also while tokenised
    Duration max_queued_time;                   // the predicted wait
    int64_t max_running = 256;                  // sequences per device
    int64_t max_step_tokens = 512;              // rows of one step
    Duration itl_target;                        // zero: none
    Duration ttft_target;                       // zero: none
    Duration max_request_duration = Seconds(600);
    Duration slow_reader_timeout = Seconds(30);
    Duration progress_timeout = Seconds(10);
    int64_t http_connections = 256;
    Bytes http_body = Bytes(8 << 20);
  };
  // Policies, under the names that the simulator's scenarios use (scheduler/scheduler.h has what
  // each of them means).
  struct Scheduling {
    std::string queue = "edf";
    Duration implied_deadline = Seconds(30);
    int64_t late_share = 8;
    Duration class_ageing;                          // zero: never
    std::vector<std::string> max_queued_by_class;   // "batch requests=100 time=30s"
    std::vector<std::string> max_queued_by_tenant;  // "requests=50", "acme requests=500"
    bool refuse_hopeless = true;
    bool lend_slack = true;
    int64_t look_ahead = 8;
    int64_t max_passes = 32;
    std::string routing = "cost";
    int64_t nanoseconds_per_joule = 0;
    std::string join = "forecast";
    double overflow_risk = 0.02;
    std::vector<std::string> guaranteed;  // classes
    std::string victims = "least_cost";
    int64_t max_preemptions = 2;
    bool promised_prefixes = true;
    Duration prefix_ttl;  // zero: as the cache sees fit
    int64_t max_drafts = 0;
    int64_t patience = 10;
  };
  struct Fairness {
    bool enabled = true;
    std::string unit = "tokens";
    std::vector<std::string> weights;  // "tenant=2.5"; others have 1
  };
  // What an answer may be told to match: the cost of one, and how many.
  struct Constraints {
    int64_t max_states = 65'536;
    int64_t max_steps = 20'000'000;
    Bytes max_bytes = Bytes(16 << 20);
    Bytes cache_bytes = Bytes(16 << 20);
    Duration timeout = Seconds(5);
    int64_t kept = 32;
    int64_t in_use = 256;
    int64_t mask_steps = 8'000'000;
    Duration mask_timeout = Seconds(5);
  };
  struct Drain {
    Duration lameduck = Seconds(5);  // not ready, but still accepting
    Duration deadline = Seconds(270);
  };
  struct Log {
    std::string level = "info";
    std::string format = "auto";  // text on a terminal, else json
  };
  struct Faults {
    bool enabled = false;  // InjectFault is answered, not refused
  };
  struct Compute {
    int64_t lanes = 0;  // worker threads of the functional executor; zero: one per core
  };

  // One of several models, each on devices of its own.
  struct Deployment {
    Model model;
    std::string executor;
    Pool pool;
    FleetPower power;
  };

  Listeners listeners;
  Model model;
  std::string executor = "functional";
  Pool pool;
  HostTier host_tier;
  FleetPower power;
  Limits limits;
  Scheduling scheduler;
  Fairness fairness;
  Constraints constraints;
  Drain drain;
  Log log;
  Faults faults;
  Compute compute;
  // Empty: one, as `model`, `executor`, `pool` and `power` say.
  std::vector<Deployment> deployments;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONFIG_CONFIG_H_
