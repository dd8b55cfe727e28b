// `scoville health`: for probes and scripts; the exit code is the answer.
#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/units.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "nlohmann/json.hpp"
#include "scoville/v1/pool.pb.h"

namespace scoville::client {
namespace {

constexpr Duration kDefaultTimeout = Seconds(5);
constexpr absl::Duration kRetryInterval = absl::Milliseconds(100);

struct HealthOptions {
  bool ready = false;  // what is asked if nothing is
  bool live = false;
  std::string model;
  Duration wait;
};

// OK and true: yes. OK and false: it answered no.
absl::StatusOr<bool> Probe(Session& session, const HealthOptions& options, Duration wait) {
  CallOptions call = session.call_options();
  if (call.timeout == Duration()) {
    call.timeout = kDefaultTimeout;
  }
  if (wait > Duration()) {
    // A call that waits also drives the attempts to connect. Calls that fail at once would leave
    // them to a timer of gRPC's that runs every five seconds.
    call.wait_for_ready = true;
    call.timeout = std::min(call.timeout, wait);
  }
  if (options.live) {
    // Answered by the engine's own thread: an engine that does not turn cannot.
    const auto pool = session.client().GetPool(v1::GetPoolRequest(), call);
    if (!pool.ok()) {
      return pool.status();
    }
    return true;
  }
  const std::string service = options.model.empty() ? "" : absl::StrCat("model/", options.model);
  const auto health = session.client().CheckHealth(service, call);
  if (!health.ok()) {
    return health.status();
  }
  return *health == Health::kServing;
}

int ReportHealth(Session& session, const HealthOptions& options) {
  const absl::Time end = absl::Now() + absl::Nanoseconds(options.wait.value());
  absl::StatusOr<bool> answer = false;
  while (!(answer.ok() && *answer) && absl::Now() < end) {
    answer = Probe(session, options, Nanoseconds(absl::ToInt64Nanoseconds(end - absl::Now())));
    if (!(answer.ok() && *answer)) {
      absl::SleepFor(std::min(kRetryInterval, end - absl::Now()));
    }
  }
  // The last word: a call that does not wait says why there is no connection.
  if (!(answer.ok() && *answer)) {
    answer = Probe(session, options, Duration());
  }
  const std::string what = options.live ? "live" : "ready";
  if (!answer.ok()) {
    return session.Fail(answer.status(), "health");
  }
  if (session.json()) {
    session.PrintJson({{"probe", what}, {"healthy", *answer}});
  } else {
    Session::Print(absl::StrCat(*answer ? "" : "not ", what, "\n"));
  }
  return *answer ? kExitDone : kExitFailed;
}

}  // namespace

void DefineHealth(CommandLine* line) {
  auto options = std::make_shared<HealthOptions>();
  line->Add("health", "Ask whether the daemon is well", "Pool",
            "  scoville health --ready --wait 60s\n"
            "  scoville health --live --timeout 2s\n")
      .Flag("--live", &options->live, "Does the engine turn (restart it if not)?")
      .Flag("--ready", &options->ready, "Does it take work (default)?")
      .Excludes("--live")
      .Text("-m,--model", &options->model, "Ready to serve this model?")
      .Excludes("--live")
      .Time("--wait", &options->wait,
            "Ask again until yes, for at most this long, as 60s (default: ask once)")
      .Run([options](Session& session) { return ReportHealth(session, *options); });
}

}  // namespace scoville::client
