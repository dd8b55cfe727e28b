// The daemon: starts every part in order, serves, drains on a signal.
//
// Start: listen, load the model, start the engine, serve gRPC and HTTP, warm up, be ready. Drain:
// (1) not ready but accepting for drain.lameduck, (2) refusing new work, (3) until what runs has
// ended or drain.deadline is over, (4) ending the rest, (5) closing gRPC, then HTTP, so that the
// last metrics can be read. A second signal jumps to (4) and makes the exit code 1.
//
// Ownership: owns every part; borrows configuration and logger. Threading: main thread. Errors: an
// exit code; what went wrong has been logged.
#ifndef SCOVILLE_SERVER_MAIN_DAEMON_H_
#define SCOVILLE_SERVER_MAIN_DAEMON_H_

#include <memory>
#include <string>

#include "server/config/load_config.h"
#include "server/log/logger.h"

namespace scoville::server {

class Daemon {
 public:
  // `notify_socket`: of the service manager; `interactive`: a person watches stderr.
  Daemon(const LoadedConfig& loaded, std::string default_model_path, std::string notify_socket,
         bool interactive, Logger* logger);
  ~Daemon();

  // Starts, serves until a signal, drains; the process's exit code.
  int Run();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_DAEMON_H_
