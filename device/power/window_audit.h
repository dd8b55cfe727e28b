// Says, slowly and plainly, by how much a trace of power passed its caps: the independent check of
// every governor. It shares nothing with the ledger and reads actual power, with no floor.
//
// Units: milliwatts, nanoseconds, picojoules. Ownership: borrows the trace for the call.
// Threading: pure. Errors: CHECK failures for pieces that overlap or stand out of order, windows
// not above zero, no cap.
#ifndef SCOVILLE_DEVICE_POWER_WINDOW_AUDIT_H_
#define SCOVILLE_DEVICE_POWER_WINDOW_AUDIT_H_

#include "absl/types/span.h"
#include "base/units.h"

namespace scoville::device {

// Constant power over [start, start + duration). Where no piece is, nothing is drawn.
struct TracePiece {
  TimePoint start;
  Duration duration;
  Power power;
};

// Windows that end at or after `from` keep `cap`, until the next change.
struct TraceCap {
  TimePoint from;
  Power cap;
};

struct WindowExcess {
  __int128 picojoules = 0;  // energy of the window minus cap x window: above zero is a breach
  TimePoint end;            // of the window
  Power cap;
  Duration window;

  // Mean power above the cap; below zero: what was left.
  double watts() const {
    return static_cast<double>(picojoules) / static_cast<double>(window.value()) * 1e-3;
  }
};

// The largest excess over all windows of this length that end from the first cap's instant to the
// end of the trace, exactly. Where the cap changes the lower of the two counts: windows that end a
// moment before a raise have the same energy. The caps are in order of time.
WindowExcess WorstWindow(absl::Span<const TracePiece> trace, absl::Span<const TraceCap> caps,
                         Duration window);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_WINDOW_AUDIT_H_
