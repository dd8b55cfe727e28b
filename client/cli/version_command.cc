// `scoville version`: this program's, and the daemon's if one answers.
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/text_width.h"
#include "nlohmann/json.hpp"
#include "scoville/v1/pool.pb.h"

namespace scoville::client {
namespace {

int Version(Session& session) {
  CallOptions call = session.call_options();
  if (call.timeout == Duration()) {
    call.timeout = Seconds(2);
  }
  const auto pool = session.client().GetPool(v1::GetPoolRequest(), call);
  if (session.json()) {
    const nlohmann::ordered_json daemon =
        pool.ok() ? nlohmann::ordered_json(pool->version()) : nlohmann::ordered_json();
    return session.PrintJson({{"client", SCOVILLE_VERSION}, {"daemon", daemon}});
  }
  const std::string& address = session.global().address;
  return Session::Print(
             Printable(absl::StrCat("scoville ", SCOVILLE_VERSION, "\ndaemon   ",
                                    pool.ok() ? absl::StrCat(pool->version(), " at ", address)
                                              : absl::StrCat("none answers at ", address),
                                    "\n")))
             ? kExitDone
             : kExitFailed;
}

}  // namespace

void DefineVersion(CommandLine* line) {
  line->Add("version", "Show the versions of client and daemon", "Program",
            "  scoville version --json\n")
      .Run(Version);
}

}  // namespace scoville::client
