// Tells systemd how the daemon is, over the socket it names in NOTIFY_SOCKET.
//
// Ownership: a plain value. Threading: any thread. Errors: without a socket, or when it does not
// answer, nothing happens: the daemon does not depend on its manager.
#ifndef SCOVILLE_SERVER_MAIN_SERVICE_MANAGER_H_
#define SCOVILLE_SERVER_MAIN_SERVICE_MANAGER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace scoville::server {

class ServiceManager {
 public:
  // `socket`: the value of NOTIFY_SOCKET; empty: no manager.
  explicit ServiceManager(std::string socket) : socket_(std::move(socket)) {}

  // "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…".
  void Notify(absl::string_view state) const;

 private:
  std::string socket_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_SERVICE_MANAGER_H_
