// What a command works with: the terminal, the options every command takes, the daemon.
//
// Ownership: on the stack of CommandLine; commands borrow it. Threading: the main thread. Errors:
// Fail prints a failed call and gives the exit code for it.
#ifndef SCOVILLE_CLIENT_CLI_SESSION_H_
#define SCOVILLE_CLIENT_CLI_SESSION_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/library/client.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/terminal.h"
#include "nlohmann/json_fwd.hpp"

namespace scoville::client {

struct GlobalOptions {
  std::string address;  // flag, else SCOVILLE_ADDRESS, else 127.0.0.1:50051
  bool json = false;
  Duration timeout;  // of each call; zero: none
};

class Session {
 public:
  Session(Terminal terminal, GlobalOptions global)
      : terminal_(terminal), global_(std::move(global)) {}

  const Terminal& terminal() const { return terminal_; }
  const GlobalOptions& global() const { return global_; }
  bool json() const { return global_.json; }

  // Before client(), and only by commands that Ctrl-C must not end at once.
  InterruptWatcher& interrupts();
  // Connects at the first call.
  Client& client();
  CallOptions call_options() const;

  // `what` is the thing tried ("chat").
  int Fail(const absl::Status& status, absl::string_view what) const;
  // A mistake in what was typed; `hint` may be empty.
  static int Misused(absl::string_view message, absl::string_view hint);
  // Writes to stdout; false once nobody reads it.
  static bool Print(absl::string_view text);
  int PrintJson(const nlohmann::ordered_json& json) const;

 private:
  Terminal terminal_;
  GlobalOptions global_;
  std::unique_ptr<InterruptWatcher> interrupts_;
  std::unique_ptr<Client> client_;
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_CLI_SESSION_H_
