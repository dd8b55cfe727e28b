// Ctrl-C (SIGINT) and SIGTERM as a call instead of the process's end.
//
// A thread of its own waits for the signals, so that the handler may do what a signal handler may
// not: cancel a call, print, take a lock.
//
// Ownership: owns its thread. Threading: construct it on the main thread before any other thread
// exists (they inherit the blocked signals); SetHandler from any thread; the handler runs on the
// watcher's thread and never after the SetHandler that replaced it has returned. Errors: a signal
// without a handler ends the process with 130 (143 for SIGTERM).
#ifndef SCOVILLE_CLIENT_TERMINAL_INTERRUPT_H_
#define SCOVILLE_CLIENT_TERMINAL_INTERRUPT_H_

#include <functional>
#include <memory>

namespace scoville::client {

class InterruptWatcher {
 public:
  InterruptWatcher();
  ~InterruptWatcher();
  InterruptWatcher(const InterruptWatcher&) = delete;
  InterruptWatcher& operator=(const InterruptWatcher&) = delete;

  // Null: the signal ends the process.
  void SetHandler(std::function<void()> handler);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_TERMINAL_INTERRUPT_H_
