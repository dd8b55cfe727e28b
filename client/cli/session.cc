#include "client/cli/session.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "client/cli/error_report.h"
#include "client/cli/exit_codes.h"
#include "client/views/message_json.h"

namespace scoville::client {

InterruptWatcher& Session::interrupts() {
  if (interrupts_ == nullptr) {
    interrupts_ = std::make_unique<InterruptWatcher>();
  }
  return *interrupts_;
}

Client& Session::client() {
  if (client_ == nullptr) {
    ClientOptions options;
    options.address = global_.address;
    options.user_agent = absl::StrCat("scoville-cli/", SCOVILLE_VERSION);
    client_ = std::make_unique<Client>(options);
  }
  return *client_;
}

CallOptions Session::call_options() const {
  CallOptions options;
  options.timeout = global_.timeout;
  return options;
}

int Session::Fail(const absl::Status& status, absl::string_view what) const {
  std::fflush(stdout);
  const std::string text =
      global_.json ? ErrorJson(status) : ErrorText(status, what, global_.address);
  std::fwrite(text.data(), 1, text.size(), stderr);
  return ExitCodeOf(status);
}

int Session::Misused(absl::string_view message, absl::string_view hint) {
  std::string text = absl::StrCat("scoville: ", message, "\n");
  if (!hint.empty()) {
    absl::StrAppend(&text, "hint: ", hint, "\n");
  }
  std::fwrite(text.data(), 1, text.size(), stderr);
  return kExitUsage;
}

bool Session::Print(absl::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

int Session::PrintJson(const nlohmann::ordered_json& json) const {
  return Print(JsonText(json)) ? kExitDone : kExitFailed;
}

}  // namespace scoville::client
