// `scoville pool`: the devices, once or again and again.
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/views/message_json.h"
#include "client/views/pool_view.h"
#include "nlohmann/json.hpp"
#include "scoville/v1/pool.pb.h"

namespace scoville::client {
namespace {

// Long enough for a rate to mean something, short enough to wait for.
constexpr double kSampleSeconds = 0.5;

struct PoolOptions {
  std::optional<double> loop_seconds;
  bool requests = false;
};

// False once nobody reads.
bool Show(Session& session, const PoolOptions& options, const v1::PoolState& before,
          const v1::PoolState& now) {
  if (session.json() && options.loop_seconds) {
    return Session::Print(
        PoolJson(before, now)
            .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
        "\n");
  }
  if (session.json()) {
    return Session::Print(JsonText(PoolJson(before, now)));
  }
  const bool redraw = options.loop_seconds && session.terminal().stdout_is_terminal;
  return Session::Print(absl::StrCat(redraw ? "\x1b[H\x1b[2J" : "",
                                     PoolText(before, now, session.terminal()),
                                     RequestsText(now, session.terminal())));
}

int Pool(Session& session, const PoolOptions& options) {
  v1::WatchPoolRequest request;
  request.set_interval_ns(
      static_cast<uint64_t>(options.loop_seconds.value_or(kSampleSeconds) * 1e9));
  request.set_include_requests(options.requests);
  std::optional<v1::PoolState> before;
  bool shown = false;
  const absl::Status status =
      session.client().WatchPool(request, session.call_options(), [&](const v1::PoolState& now) {
        bool more = true;
        if (before.has_value()) {
          shown = Show(session, options, *before, now);
          more = shown && options.loop_seconds.has_value();
        }
        before = now;
        return more;
      });
  if (!status.ok()) {
    return session.Fail(status, "watch the pool");
  }
  return shown || options.loop_seconds ? kExitDone : kExitFailed;
}

}  // namespace

void DefinePool(CommandLine* line) {
  auto options = std::make_shared<PoolOptions>();
  line->Add("pool", "Show the devices of the pool", "Pool",
            "  scoville pool\n"
            "  scoville pool -l 1 --requests\n"
            "  scoville pool --json --requests\n")
      .Number("-l,--loop", &options->loop_seconds,
              "Again every so many seconds, 0.1 to 60 (default: once)")
      .Between(0.1, 60)
      .Flag("--requests", &options->requests, "Also the live requests")
      .Run([options](Session& session) { return Pool(session, *options); });
}

}  // namespace scoville::client
