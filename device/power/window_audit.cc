#include "device/power/window_audit.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/status_macros.h"

namespace scoville::device {

namespace {

__int128 EnergyOfWindow(absl::Span<const TracePiece> trace, TimePoint from, TimePoint to) {
  // The first piece that ends after `from`.
  auto piece = std::partition_point(trace.begin(), trace.end(), [&](const TracePiece& p) {
    return p.start + p.duration <= from;
  });
  __int128 energy = 0;
  for (; piece != trace.end() && piece->start < to; ++piece) {
    const TimePoint begin = std::max(from, piece->start);
    const TimePoint end = std::min(to, piece->start + piece->duration);
    energy += static_cast<__int128>(piece->power.value()) * (end - begin).value();
  }
  return energy;
}

// The cap of windows that end at `end`; at the instant of a change the lower one.
Power CapOfWindow(absl::Span<const TraceCap> caps, TimePoint end) {
  Power cap = caps[0].cap;
  for (size_t i = 1; i < caps.size() && caps[i].from <= end; ++i) {
    cap = caps[i].from == end ? std::min(cap, caps[i].cap) : caps[i].cap;
  }
  return cap;
}

}  // namespace

WindowExcess WorstWindow(absl::Span<const TracePiece> trace, absl::Span<const TraceCap> caps,
                         Duration window) {
  CHECK(!trace.empty());
  CHECK(!caps.empty());
  CHECK_GT(window, Duration());
  // A window's energy is linear in its end between these instants, so the worst is among them.
  std::vector<TimePoint> ends;
  for (size_t i = 0; i < trace.size(); ++i) {
    CHECK(i == 0 || trace[i].start >= trace[i - 1].start + trace[i - 1].duration);
    for (const TimePoint edge : {trace[i].start, trace[i].start + trace[i].duration}) {
      ends.push_back(edge);
      ends.push_back(edge + window);
    }
  }
  for (const TraceCap& cap : caps) {
    ends.push_back(cap.from);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());

  const TimePoint last = trace.back().start + trace.back().duration;
  WindowExcess worst;
  bool first = true;
  for (const TimePoint end : ends) {
    if (end < caps[0].from || end > last) {
      continue;
    }
    const Power cap = CapOfWindow(caps, end);
    const __int128 excess = EnergyOfWindow(trace, end - window, end) -
                            static_cast<__int128>(cap.value()) * window.value();
    if (first || excess > worst.picojoules) {
      worst = WindowExcess{excess, end, cap, window};
      first = false;
    }
  }
  CHECK(!first);
  return worst;
}

}  // namespace scoville::device
