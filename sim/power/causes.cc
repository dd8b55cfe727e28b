#include "sim/power/causes.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace scoville::sim::power {

namespace {

struct Cause {
  const char* key;
  const char* name;
  int colour;
  Duration device::StallTimes::*time;
};

constexpr Cause kCauses[] = {{"compute", "compute", 0, &device::StallTimes::compute},
                             {"memory", "memory", 1, &device::StallTimes::memory},
                             {"links", "links", 2, &device::StallTimes::comm},
                             {"fixed", "fixed latency", 4, &device::StallTimes::fixed},
                             {"host", "host", 3, &device::StallTimes::host}};

// Stacks segments; nothing is nothing, so it does not stand in the legend.
class Stack {
 public:
  explicit Stack(const std::string& label) { bar_.label = label; }

  void Add(const char* name, int colour, double length) {
    if (length > 0) {
      bar_.segments.push_back({name, colour, end_, end_ + length});
      end_ += length;
    }
  }
  charts::Bar Finish() { return std::move(bar_); }

 private:
  charts::Bar bar_;
  double end_ = 0;
};

charts::BarPanel Times(const std::vector<OperatingPoint>& points,
                       const std::vector<std::string>& labels, bool shares) {
  charts::BarPanel panel;
  panel.upright = true;
  panel.axis.label = shares ? "step time by cause, %" : "step time by cause, ms";
  if (shares) {
    panel.axis.high = 100;
  }
  for (size_t i = 0; i < points.size(); ++i) {
    Stack stack(labels[i]);
    const double scale = shares ? 100 / points[i].step_s : 1e3;
    for (const Cause& cause : kCauses) {
      stack.Add(cause.name, cause.colour, ToSeconds(points[i].price.stalls.*cause.time) * scale);
    }
    panel.bars.push_back(stack.Finish());
  }
  return panel;
}

}  // namespace

charts::BarPanel TimeByCause(const std::vector<OperatingPoint>& points,
                             const std::vector<std::string>& labels) {
  return Times(points, labels, false);
}

charts::BarPanel TimeShares(const std::vector<OperatingPoint>& points,
                            const std::vector<std::string>& labels) {
  return Times(points, labels, true);
}

charts::BarPanel EnergyByCause(const std::vector<OperatingPoint>& points,
                               const std::vector<std::string>& labels) {
  charts::BarPanel panel;
  panel.upright = true;
  panel.axis.label = "device energy by what draws it, mJ per output token";
  for (size_t i = 0; i < points.size(); ++i) {
    const device::ForwardPower& parts = points[i].parts;
    const double scale =
        1e3 * ToSeconds(points[i].price.forward) / static_cast<double>(points[i].output_tokens);
    const double compute = (parts.linear_flops + parts.attention_flops + parts.head_flops) * scale;
    const double memory = (parts.linear_bytes + parts.attention_bytes + parts.head_bytes) * scale;
    const double links = parts.links * scale;
    Stack stack(labels[i]);
    stack.Add("compute", 0, compute);
    stack.Add("memory", 1, memory);
    stack.Add("links", 2, links);
    stack.Add("static and clock trees", 5,
              points[i].joules_per_output() * 1e3 - compute - memory - links);
    panel.bars.push_back(stack.Finish());
  }
  return panel;
}

void AddCauseColumns(charts::Table* table) {
  for (const Cause& cause : kCauses) {
    table->columns.push_back(
        {absl::StrCat(cause.key, "_percent"), absl::StrCat(cause.key, " %"), 1});
  }
}

void AddCauseCells(const OperatingPoint& point, std::vector<charts::Cell>* row) {
  for (const Cause& cause : kCauses) {
    row->emplace_back(100 * ToSeconds(point.price.stalls.*cause.time) / point.step_s);
  }
}

}  // namespace scoville::sim::power
