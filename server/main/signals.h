// Termination signals as values: blocked in every thread, taken by the one that waits.
//
// Ownership: none. Threading: BlockSignals before any thread is started; WaitForSignal on the main
// thread. Errors: none.
#ifndef SCOVILLE_SERVER_MAIN_SIGNALS_H_
#define SCOVILLE_SERVER_MAIN_SIGNALS_H_

#include "base/units.h"

namespace scoville::server {

// SIGTERM and SIGINT wait for WaitForSignal; SIGPIPE is ignored.
void BlockSignals();

// The number of the signal that came, or 0 after `timeout`.
int WaitForSignal(Duration timeout);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_SIGNALS_H_
