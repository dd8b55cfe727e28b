#include "server/http/status_endpoints.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/http/process_facts.h"
#include "server/metrics/render_metrics.h"

namespace scoville::server {

namespace {

constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kExposition[] = "text/plain; version=0.0.4; charset=utf-8";

ProcessSnapshot Process(const StatusSources& s) {
  ProcessSnapshot out;
  const TimePoint now = s.engine->Now();
  const TimePoint turn = s.engine->LastTurn();
  out.version = s.version;
  out.fault_injection = s.fault_injection;
  out.ready = s.state->NotReady(now, turn).empty();
  out.draining = s.state->draining();
  out.last_turn_unix_seconds = UnixSeconds() - ToSeconds(now - turn);
  out.grpc_streams = s.grpc_streams();
  out.http_streams = s.http_streams();
  out.http = s.router->counts();
  out.grpc = s.grpc_counts();
  out.start_unix_seconds = s.start_unix_seconds;
  ReadProcessFacts(&out);
  return out;
}

HttpHandler Metrics(const StatusSources& s) {
  return [s](const std::shared_ptr<HttpExchange>& exchange) {
    s.reader->Read([s, exchange](const CoreReader::Snapshot& core) {
      MetricsSnapshot snapshot;
      snapshot.deployments = core.deployments;
      snapshot.process = Process(s);
      exchange->Reply(200, kExposition, RenderMetrics(snapshot));
    });
  };
}

// 200 and "ok", or 503 and what is wrong.
HttpHandler Probe(const StatusSources& s, bool readiness) {
  return [s, readiness](const std::shared_ptr<HttpExchange>& exchange) {
    const TimePoint now = s.engine->Now();
    const TimePoint turn = s.engine->LastTurn();
    const std::string wrong =
        readiness ? s.state->NotReady(now, turn) : s.state->NotLive(now, turn);
    exchange->Reply(wrong.empty() ? 200 : 503, kText,
                    wrong.empty() ? "ok\n" : absl::StrCat(wrong, "\n"));
  };
}

HttpHandler Version(const StatusSources& s) {
  return [s](const std::shared_ptr<HttpExchange>& exchange) {
    nlohmann::json models = nlohmann::json::array();
    for (const std::shared_ptr<Deployment>& deployment : s.engine->deployments()) {
      models.push_back({{"model", deployment->id()},
                        {"executor", deployment->facts().executor},
                        {"profile", deployment->facts().profile}});
    }
    const nlohmann::json body = {{"version", s.version}, {"models", models}, {"emulated", true}};
    exchange->Reply(200, "application/json", body.dump() + "\n");
  };
}

HttpHandler Front(const StatusSources& s) {
  return [s](const std::shared_ptr<HttpExchange>& exchange) {
    std::string models;
    for (const std::shared_ptr<Deployment>& deployment : s.engine->deployments()) {
      const DeploymentFacts& facts = deployment->facts();
      absl::StrAppend(&models, "  ", facts.model, " on emulated ", facts.profile, " devices: ",
                      facts.executor == "functional" ? "real tokens\n"
                                                     : "made-up tokens (synthetic executor)\n");
    }
    const std::string body =
        absl::StrCat("Scoville ", s.version, " serves\n", models, "\ngRPC                  ",
                     s.grpc_address, " (scoville.v1, reflection on)\n",
                     "POST                  /v1/chat/completions, /v1/completions\n",
                     "GET                   /v1/models, /metrics, /healthz, /readyz, /version\n\n",
                     "Power, energy and device time are emulated.\n");
    exchange->Reply(200, kText, body);
  };
}

}  // namespace

void AddStatusEndpoints(const StatusSources& sources, HttpRouter* router) {
  router->Add("GET", "/", {200}, Front(sources));
  router->Add("GET", "/metrics", {200, 499}, Metrics(sources));
  router->Add("GET", "/healthz", {200, 503}, Probe(sources, /*readiness=*/false));
  router->Add("GET", "/readyz", {200, 503}, Probe(sources, /*readiness=*/true));
  router->Add("GET", "/health", {200, 503}, Probe(sources, /*readiness=*/true));
  router->Add("GET", "/ping", {200, 503}, Probe(sources, /*readiness=*/false));
  router->Add("GET", "/version", {200}, Version(sources));
}

}  // namespace scoville::server
