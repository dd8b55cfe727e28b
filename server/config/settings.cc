#include "server/config/settings.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/nearest_name.h"
#include "base/quantity.h"
#include "base/status_macros.h"
#include "device/power_options.h"
#include "server/config/scheduler_settings.h"

namespace scoville::server {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

struct UnitName {
  int64_t scale;
  const char* name;
};

// The largest unit that leaves a whole number.
std::string WithUnit(int64_t value, std::initializer_list<UnitName> largest_first) {
  for (const UnitName& unit : largest_first) {
    if (value % unit.scale == 0) {
      return absl::StrCat(value / unit.scale, unit.name);
    }
  }
  return absl::StrCat(value);
}

std::string Write(Duration d) {
  return WithUnit(d.value(), {{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}, {1, "ns"}});
}
std::string Write(Power p) { return WithUnit(p.value(), {{1'000, "W"}, {1, "mW"}}); }
std::string Write(Bytes b) {
  return WithUnit(b.value(), {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}});
}

// In quotes wherever YAML could read something else into it.
std::string Write(const std::string& text) {
  const bool plain = !text.empty() && (absl::ascii_isalnum(text[0]) || text[0] == '/') &&
                     text != "true" && text != "false" && text != "null" &&
                     std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return absl::ascii_isalnum(c) || std::strchr("_./:-", c) != nullptr;
                     });
  return plain ? text
               : absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}),
                              "\"");
}

absl::StatusOr<bool> ParseBool(absl::string_view text) {
  if (text == "true") {
    return true;
  }
  if (text == "false") {
    return false;
  }
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is neither true nor false"));
}

absl::StatusOr<int64_t> ParseInt(absl::string_view text) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a whole number"));
  }
  return value;
}

absl::StatusOr<double> ParseReal(absl::string_view text) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value)) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a number"));
  }
  return value;
}

std::string Write(const std::vector<std::string>& list) {
  return absl::StrCat("[",
                      absl::StrJoin(list, ", ",
                                    [](std::string* out, const std::string& text) {
                                      absl::StrAppend(out, Write(text));
                                    }),
                      "]");
}

absl::Status ReadList(const YamlMap& map, const std::string& name, std::vector<std::string>* out) {
  if (!map.Has(name)) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<YamlNode> nodes, map.List(name));
  std::vector<std::string> texts;
  for (const YamlNode& node : nodes) {
    ASSIGN_OR_RETURN(std::string text, node.AsString());
    texts.push_back(std::move(text));
  }
  *out = std::move(texts);
  return absl::OkStatus();
}

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

void BindModel(ServerConfig* c, std::vector<Setting>* s) {
  s->emplace_back("listeners.grpc", &c->listeners.grpc,
                  "gRPC listen address; port 0: any free one");
  s->emplace_back("listeners.http", &c->listeners.http,
                  "HTTP listen address (OpenAI API, /metrics, /healthz)");
  s->emplace_back("listeners.allow_public", &c->listeners.allow_public,
                  "allow addresses that other machines can reach; there is no authentication yet");
  s->emplace_back("model.path", &c->model.path,
                  "GGUF file to serve; empty: the default model in the user's cache directory");
  s->emplace_back("model.card", &c->model.card,
                  "a model that is only timed (executor synthetic): a built-in card's name, or the "
                  "path of a config.json");
  s->emplace_back(
      "model.id", &c->model.id,
      "what clients call the model; empty: the file's stem in lower case, or the card's "
      "name");
  s->emplace_back("executor", &c->executor,
                  "functional computes real tokens on the host, synthetic makes them up")
      .Allow({"functional", "synthetic"});
}

void BindPool(ServerConfig* c, std::vector<Setting>* s) {
  s->emplace_back("pool.devices", &c->pool.devices, "emulated devices").Range(1, 4096);
  s->emplace_back("pool.profile", &c->pool.profile,
                  "the accelerator: a built-in name or the path of a profile file");
  s->emplace_back("pool.chips_per_device", &c->pool.chips_per_device,
                  "chips of one tensor-parallel device")
      .Range(1, 1024);
  s->emplace_back("pool.cap_per_device", &c->pool.cap_per_device,
                  "power cap of each device; 0W: the profile's TDP")
      .Range(0, 1'000'000'000);
  s->emplace_back("pool.expert_parallel", &c->pool.expert_parallel,
                  "whole experts on each chip, tokens travel to them");
  s->emplace_back("pool.data_parallel_attention", &c->pool.data_parallel_attention,
                  "each chip attends for its own sequences; attention weights replicate");
  s->emplace_back("pool.cap_window", &c->pool.cap_window,
                  "the cap bounds the mean power over every window of this length")
      .Range(1'000'000, 60 * kSecond);
  s->emplace_back("pool.governor", &c->pool.governor,
                  "who keeps the cap: predictive never passes it; static, rapl and pi are for "
                  "comparison")
      .Allow(device::GovernorNames());
  s->emplace_back("pool.mode", &c->pool.mode,
                  "perf: the fastest clock the cap admits; eff: the fewest joules per token within "
                  "the latency targets")
      .Allow(device::CapModeNames());
  s->emplace_back("pool.park_after", &c->pool.park_after,
                  "an idle device parks after this time; 0s: it stays warm")
      .Range(0, kDay);
  s->emplace_back("pool.kv_blocks", &c->pool.kv_blocks,
                  "KV blocks of each device; 0: 4096 if functional, else what its memory holds")
      .Range(0, 1 << 30);
  s->emplace_back("pool.prefix_cache", &c->pool.prefix_cache,
                  "full KV blocks are kept and shared by prompts that begin alike");
  s->emplace_back(
       "pool.prefix_quota_blocks", &c->pool.prefix_quota_blocks,
       "KV blocks of each device that scheduler.prefix_ttl may keep for one tenant; 0: no "
       "bound")
      .Range(0, 1'000'000'000);
}

void BindHostTier(ServerConfig* c, std::vector<Setting>* s) {
  s->emplace_back("host_tier.blocks", &c->host_tier.blocks,
                  "KV blocks of host memory behind each device's prefix cache; 0: none")
      .Range(0, 1'000'000'000);
  s->emplace_back("host_tier.bytes_per_second", &c->host_tier.bytes_per_second,
                  "of the link between a device and the host")
      .Range(1'000, 1'000'000'000'000'000);
  s->emplace_back("host_tier.picojoules_per_byte", &c->host_tier.picojoules_per_byte,
                  "energy of a byte over that link")
      .Range(0, 1'000'000);
}

void BindFleetPower(ServerConfig* c, std::vector<Setting>* s) {
  s->emplace_back("power.budget", &c->power.budget,
                  "what all devices may draw together from the start; 0W: no budget")
      .Range(0, 1'000'000'000'000);
  s->emplace_back("power.reserve_ppm", &c->power.reserve_ppm,
                  "share of each budget that is not handed out, in parts per million")
      .Range(0, 999'999);
  s->emplace_back("power.pue_milli", &c->power.pue_milli,
                  "for budgets at the wall: power usage effectiveness, in thousandths")
      .Range(1'000, 1'000'000);
  s->emplace_back("power.overhead_per_device", &c->power.overhead_per_device,
                  "for budgets at the wall: host, network and rack beside each device")
      .Range(0, 1'000'000'000);
}

void BindLimits(ServerConfig* c, std::vector<Setting>* s) {
  s->emplace_back("limits.max_queued_requests", &c->limits.max_queued_requests,
                  "requests that may wait; more are refused; 0: no limit")
      .Range(0, 1 << 20);
  s->emplace_back("limits.max_queued_tokens", &c->limits.max_queued_tokens,
                  "prompt tokens that may wait; more are refused; 0: no limit")
      .Range(0, 1LL << 32);
  s->emplace_back("limits.max_queued_bytes", &c->limits.max_queued_bytes,
                  "bytes of requests that may wait, to be tokenised or to be run; more are refused "
                  "before they are tokenised; 0B: no limit")
      .Range(0, 1LL << 40);
  s->emplace_back("limits.max_queued_time", &c->limits.max_queued_time,
                  "predicted wait beyond which requests are refused; 0s: no limit")
      .Range(0, kDay);
  s->emplace_back("limits.max_running", &c->limits.max_running, "sequences of one device")
      .Range(1, 65536);
  s->emplace_back("limits.max_step_tokens", &c->limits.max_step_tokens, "rows of one step")
      .Range(1, 65536);
  s->emplace_back("limits.itl_target", &c->limits.itl_target,
                  "steps with decodes are kept below this by computing less of the prompts; 0s: no "
                  "target")
      .Range(0, kDay);
  s->emplace_back("limits.ttft_target", &c->limits.ttft_target,
                  "time to the first token that routing aims at; 0s: no target")
      .Range(0, kDay);
  s->emplace_back("limits.max_request_duration", &c->limits.max_request_duration,
                  "upper bound of every request's deadline")
      .Range(kSecond, kDay);
  s->emplace_back("limits.slow_reader_timeout", &c->limits.slow_reader_timeout,
                  "how long a reader may stay behind before its request ends")
      .Range(kSecond, kDay);
  s->emplace_back(
       "limits.progress_timeout", &c->limits.progress_timeout,
       "not ready when requests run and no step ends for this long; longer than any step")
      .Range(kSecond, kDay);
  s->emplace_back("limits.http_connections", &c->limits.http_connections,
                  "open HTTP connections; more are closed at once")
      .Range(1, 65536);
  s->emplace_back("limits.http_body", &c->limits.http_body, "largest HTTP request body")
      .Range(1024, 1 << 30);
}

void BindConstraints(ServerConfig* c, std::vector<Setting>* s) {
  s->emplace_back("constraints.max_states", &c->constraints.max_states,
                  "states that one JSON Schema or regular expression may compile to")
      .Range(16, 1 << 24);
  s->emplace_back("constraints.max_steps", &c->constraints.max_steps,
                  "counted work of compiling one; 20 million are about a second")
      .Range(1'000, 1'000'000'000);
  s->emplace_back("constraints.max_bytes", &c->constraints.max_bytes, "tables of one")
      .Range(64 << 10, 1 << 30);
  s->emplace_back("constraints.cache_bytes", &c->constraints.cache_bytes,
                  "what one may keep of the token masks found while it is used")
      .Range(64 << 10, 1 << 30);
  s->emplace_back("constraints.timeout", &c->constraints.timeout,
                  "compiling one is given up after this; the steps are the usual limit")
      .Range(1'000'000, 60 * kSecond);
  s->emplace_back("constraints.kept", &c->constraints.kept,
                  "compiled ones that are kept for the next request that asks for the same")
      .Range(0, 4096);
  s->emplace_back("constraints.in_use", &c->constraints.in_use,
                  "different ones that requests may use at a time; more are refused")
      .Range(1, 65536);
  s->emplace_back("constraints.mask_steps", &c->constraints.mask_steps,
                  "counted work of finding what one allows next; beyond it the request ends")
      .Range(1'000, 1'000'000'000);
  s->emplace_back("constraints.mask_timeout", &c->constraints.mask_timeout,
                  "a request for which that takes so long ends; the steps are the usual limit")
      .Range(1'000'000, 60 * kSecond);
}

void BindOperation(ServerConfig* c, std::vector<Setting>* s) {
  s->emplace_back("drain.lameduck", &c->drain.lameduck,
                  "after SIGTERM: not ready, but still accepting, so that balancers notice")
      .Range(0, kDay);
  s->emplace_back("drain.deadline", &c->drain.deadline,
                  "after the lameduck time: how long running requests may go on")
      .Range(0, kDay);
  s->emplace_back("log.level", &c->log.level, "least severe messages to write")
      .Allow({"trace", "debug", "info", "warn", "error"});
  s->emplace_back("log.format", &c->log.format, "auto: text on a terminal, else json")
      .Allow({"auto", "text", "json"});
  s->emplace_back("faults.enabled", &c->faults.enabled,
                  "let clients kill, hang and slow emulated devices, for tests of what follows");
  s->emplace_back("compute.lanes", &c->compute.lanes,
                  "worker threads of the functional executor; 0: one per core")
      .Range(0, 1024);
}

}  // namespace

std::string Setting::section() const {
  const size_t dot = path_.find('.');
  return dot == std::string::npos ? "" : path_.substr(0, dot);
}

std::string Setting::key() const {
  const size_t dot = path_.find('.');
  return dot == std::string::npos ? path_ : path_.substr(dot + 1);
}

std::string Setting::environment() const {
  return absl::StrCat("SCOVILLE_", absl::AsciiStrToUpper(absl::StrReplaceAll(path_, {{".", "_"}})));
}

std::string Setting::type_text() const {
  return std::visit(
      Overloaded{
          [&](std::string*) {
            return choices_.empty() ? std::string("text")
                                    : absl::StrCat("one of ", absl::StrJoin(choices_, ", "));
          },
          [&](std::vector<std::string>*) {
            return choices_.empty() ? std::string("list of texts")
                                    : absl::StrCat("list of ", absl::StrJoin(choices_, ", "));
          },
          [](bool*) { return std::string("true or false"); },
          [&](double*) {
            return absl::StrCat("number from ", real_range_.low, " to ", real_range_.high);
          },
          [&](int64_t*) { return absl::StrCat("integer from ", range_.low, " to ", range_.high); },
          [&](Duration*) {
            return absl::StrCat("duration (30s) from ", Write(Duration(range_.low)), " to ",
                                Write(Duration(range_.high)));
          },
          [&](Power*) {
            return absl::StrCat("power (250W) from ", Write(Power(range_.low)), " to ",
                                Write(Power(range_.high)));
          },
          [&](Bytes*) {
            return absl::StrCat("size (512MiB) from ", Write(Bytes(range_.low)), " to ",
                                Write(Bytes(range_.high)));
          },
      },
      target_);
}

std::string Setting::value_text() const {
  return std::visit(Overloaded{
                        [](std::string* v) { return Write(*v); },
                        [](bool* v) { return std::string(*v ? "true" : "false"); },
                        [](int64_t* v) { return absl::StrCat(*v); },
                        [](double* v) { return absl::StrCat(*v); },
                        [](auto* v) { return Write(*v); },
                    },
                    target_);
}

absl::Status Setting::SetFromText(absl::string_view text) const {
  absl::Status status = std::visit(
      [&](auto* out) -> absl::Status {
        using T = std::remove_pointer_t<decltype(out)>;
        if constexpr (std::is_same_v<T, std::string>) {
          *out = std::string(text);
        } else if constexpr (std::is_same_v<T, bool>) {
          ASSIGN_OR_RETURN(*out, ParseBool(text));
        } else if constexpr (std::is_same_v<T, int64_t>) {
          ASSIGN_OR_RETURN(*out, ParseInt(text));
        } else if constexpr (std::is_same_v<T, double>) {
          ASSIGN_OR_RETURN(*out, ParseReal(text));
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          *out = absl::StrSplit(text, ',', absl::SkipWhitespace());
        } else if constexpr (std::is_same_v<T, Duration>) {
          ASSIGN_OR_RETURN(*out, ParseDuration(text));
        } else if constexpr (std::is_same_v<T, Power>) {
          ASSIGN_OR_RETURN(*out, ParsePower(text));
        } else {
          ASSIGN_OR_RETURN(*out, ParseBytes(text));
        }
        return absl::OkStatus();
      },
      target_);
  RETURN_IF_ERROR(status);
  return CheckLimits();
}

absl::StatusOr<bool> Setting::SetFromYaml(const YamlMap& map) const {
  const std::string name = key();
  RETURN_IF_ERROR(
      std::visit(Overloaded{
                     [&](std::vector<std::string>* out) { return ReadList(map, name, out); },
                     [&](auto* out) { return map.Read(name, out); },
                 },
                 target_));
  if (!map.Has(name)) {
    return false;
  }
  if (absl::Status limits = CheckLimits(); !limits.ok()) {
    return map.Error(name, limits.message());
  }
  return true;
}

absl::Status Setting::CheckLimits() const {
  const auto in_range = [&](int64_t v) { return v >= range_.low && v <= range_.high; };
  const auto allowed = [&](const std::string& text) {
    return choices_.empty() || std::find(choices_.begin(), choices_.end(), text) != choices_.end();
  };
  const bool ok = std::visit(
      Overloaded{
          [&](std::string* v) { return allowed(*v); },
          [&](std::vector<std::string>* v) { return std::all_of(v->begin(), v->end(), allowed); },
          [](bool*) { return true; },
          [&](int64_t* v) { return in_range(*v); },
          [&](double* v) { return *v >= real_range_.low && *v <= real_range_.high; },
          [&](auto* v) { return in_range(v->value()); },
      },
      target_);
  if (ok) {
    return absl::OkStatus();
  }
  std::string hint;
  if (auto* text = std::get_if<std::string*>(&target_)) {
    hint = DidYouMean(**text, choices_);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(value_text(), " is not allowed: ", type_text(), hint));
}

std::vector<Setting> BindSettings(ServerConfig* c) {
  std::vector<Setting> s;
  BindModel(c, &s);
  BindPool(c, &s);
  BindHostTier(c, &s);
  BindFleetPower(c, &s);
  BindLimits(c, &s);
  BindScheduler(c, &s);
  BindConstraints(c, &s);
  BindOperation(c, &s);
  return s;
}

}  // namespace scoville::server
