#include "sim/report.h"

#include <algorithm>
#include <cmath>

#include "scheduler/names.h"

namespace scoville::sim {

namespace {

double Seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

Percentiles Of(std::vector<int64_t> ns) {
  Percentiles p;
  p.count = static_cast<int64_t>(ns.size());
  if (ns.empty()) {
    return p;
  }
  std::sort(ns.begin(), ns.end());
  const auto rank = [&](double q) {
    const size_t r = static_cast<size_t>(std::ceil(q * static_cast<double>(ns.size())));
    return Seconds(ns[std::min(std::max<size_t>(r, 1), ns.size()) - 1]);
  };
  double sum = 0;
  for (int64_t v : ns) {
    sum += Seconds(v);
  }
  p.mean = sum / static_cast<double>(ns.size());
  p.p50 = rank(0.5);
  p.p90 = rank(0.9);
  p.p99 = rank(0.99);
  p.max = Seconds(ns.back());
  return p;
}

Percentiles Of(const Histogram& histogram) {
  return {histogram.mean() * 1e-9,
          Seconds(histogram.Percentile(0.5)),
          Seconds(histogram.Percentile(0.9)),
          Seconds(histogram.Percentile(0.99)),
          Seconds(histogram.max()),
          histogram.count()};
}

double Ratio(double a, double b) { return b > 0 ? a / b : 0; }

bool MeetsSlo(const scheduler::RequestRecord& r, const SloTargets& slo) {
  if (!scheduler::IsCompletion(r.outcome)) {
    return false;
  }
  if (slo.ttft > Duration() && r.first_token - r.arrival > slo.ttft) {
    return false;
  }
  const int64_t gaps = r.output_tokens - 1;
  return slo.itl == Duration() || gaps < 1 || (r.last_token - r.first_token) / gaps <= slo.itl;
}

// What has to do with the service that each request asked for.
void AddService(const SimulationResult& result, Report& report) {
  using scheduler::Outcome;
  report.tenants = result.tenants;
  int64_t prompt = 0, cached = 0;
  for (size_t i = 0; i < result.records.requests.size(); ++i) {
    const scheduler::RequestRecord& r = result.records.requests[i];
    const bool met = MeetsSlo(r, i < result.targets.size() ? result.targets[i] : result.slo);
    report.slo_met += met ? 1 : 0;
    report.deadline_misses += r.outcome == Outcome::kDeadlineExceeded ? 1 : 0;
    if (r.was_scheduled) {
      prompt += r.prompt_tokens;
      cached += r.cached_tokens;
    }
    if (const auto tenant = report.tenants.find(r.tenant); tenant != report.tenants.end()) {
      tenant->second.slo_met += met ? 1 : 0;
      tenant->second.cancelled += r.outcome == Outcome::kCancelled ? 1 : 0;
    }
  }
  for (auto& [name, t] : report.tenants) {
    t.attainment =
        Ratio(static_cast<double>(t.slo_met), static_cast<double>(t.offered - t.cancelled));
  }
  for (const auto reason :
       {scheduler::RefusalReason::kDeadlineExceeded, scheduler::RefusalReason::kHopeless}) {
    report.deadline_misses += result.records.refusals[static_cast<size_t>(reason)];
  }
  report.prefix_hit_share = Ratio(static_cast<double>(cached), static_cast<double>(prompt));
  report.jain_index = JainIndex(result.records.requests, result.weights);
}

void AddRequests(const SimulationResult& result, Report& report) {
  std::vector<int64_t> ttft, tpot, e2e, queue;
  for (const scheduler::RequestRecord& r : result.records.requests) {
    report.outcomes[scheduler::OutcomeName(r.outcome)] += 1;
    report.completed += scheduler::IsCompletion(r.outcome) ? 1 : 0;
    if (r.was_scheduled) {
      queue.push_back((r.scheduled - r.arrival).value());
    }
    if (r.output_tokens > 0) {
      ttft.push_back((r.first_token - r.arrival).value());
      e2e.push_back((r.last_token - r.arrival).value());
    }
    if (r.output_tokens > 1) {
      tpot.push_back((r.last_token - r.first_token).value() / (r.output_tokens - 1));
    }
  }
  for (size_t i = 0; i < result.records.refusals.size(); ++i) {
    if (result.records.refusals[i] > 0) {
      report.refusals[scheduler::RefusalReasonName(static_cast<scheduler::RefusalReason>(i))] =
          result.records.refusals[i];
    }
  }
  report.ttft = Of(std::move(ttft));
  report.tpot = Of(std::move(tpot));
  report.e2e = Of(std::move(e2e));
  report.queue = Of(std::move(queue));
  report.itl = Of(result.records.itl_ns);
}

void AddDevices(const SimulationResult& result, Report& report) {
  Duration busy, time, lag;
  device::StallTimes stalls;
  for (size_t i = 0; i < result.devices.size(); ++i) {
    const device::DeviceStatus& d = result.devices[i];
    report.energy += d.energy;
    report.terms += d.terms;
    stalls += d.stalls;
    busy += d.busy_time;
    time += d.busy_time + d.idle_time;
    lag += d.lag;
    report.peak_kv_share =
        std::max(report.peak_kv_share, Ratio(static_cast<double>(result.peak_kv_blocks[i]),
                                             static_cast<double>(d.kv_blocks_total)));
  }
  report.device_joules = report.energy.total().joules();
  report.utilisation = Ratio(ToSeconds(busy), ToSeconds(time));
  report.emulation_lag_seconds = ToSeconds(lag);
  const double b = ToSeconds(busy);
  report.stalls = {{"compute", Ratio(ToSeconds(stalls.compute), b)},
                   {"memory", Ratio(ToSeconds(stalls.memory), b)},
                   {"comm", Ratio(ToSeconds(stalls.comm), b)},
                   {"fixed", Ratio(ToSeconds(stalls.fixed), b)},
                   {"host", Ratio(ToSeconds(stalls.host), b)},
                   {"throttle", Ratio(ToSeconds(stalls.throttle), b)}};
}

}  // namespace

Report MakeReport(const SimulationResult& result, double host_seconds) {
  Report report;
  report.name = result.name;
  report.model = result.model;
  report.profile = result.profile;
  report.seed = result.seed;
  report.virtual_seconds = Seconds(result.end.ns());
  report.host_seconds = host_seconds;
  report.events = result.events;
  report.event_hash = result.event_hash.ToString();
  report.devices = static_cast<int64_t>(result.devices.size());
  report.offered = result.offered;
  report.slo = result.slo;
  report.has_slo = result.slo.ttft > Duration() || result.slo.itl > Duration();
  for (const SloTargets& targets : result.targets) {
    report.has_slo |= targets.ttft > Duration() || targets.itl > Duration();
  }
  AddRequests(result, report);
  AddService(result, report);
  AddDevices(result, report);

  const RunObserver& records = result.records;
  report.input_tokens = records.input_tokens;
  report.output_tokens = records.output_tokens;
  report.recomputed_tokens = records.recomputed_tokens;
  report.steps = records.steps;
  report.throttled_steps = records.throttled_steps;
  report.preemptions = records.preemptions;
  const double output = static_cast<double>(report.output_tokens);
  const double total = output + static_cast<double>(report.input_tokens);
  report.input_tokens_per_second =
      Ratio(static_cast<double>(report.input_tokens), report.virtual_seconds);
  report.output_tokens_per_second = Ratio(output, report.virtual_seconds);
  report.total_tokens_per_second = Ratio(total, report.virtual_seconds);
  report.goodput = Ratio(static_cast<double>(report.slo_met), report.virtual_seconds);
  report.waste_share = Ratio(report.energy.waste.joules(), report.device_joules);
  report.mean_watts = Ratio(report.device_joules, report.virtual_seconds);
  report.output_tokens_per_joule = Ratio(output, report.device_joules);
  report.total_tokens_per_joule = Ratio(total, report.device_joules);
  report.joules_per_output_token = Ratio(report.device_joules, output);
  const Duration on = result.end - TimePoint();
  report.wall_joules =
      (report.energy.total() + (result.profile.overhead * report.devices) * on).joules();
  report.output_tokens_per_wall_joule = Ratio(output, report.wall_joules);
  const auto cancelled =
      report.outcomes.find(scheduler::OutcomeName(scheduler::Outcome::kCancelled));
  const int64_t judged =
      report.offered - (cancelled == report.outcomes.end() ? 0 : cancelled->second);
  report.slo_attainment = Ratio(static_cast<double>(report.slo_met), static_cast<double>(judged));
  report.joules_per_request = Ratio(report.device_joules, static_cast<double>(report.completed));
  return report;
}

}  // namespace scoville::sim
