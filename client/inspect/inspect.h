// What `profile` and `card` of both programs print: profiles and model cards as tables or JSON.
//
// Needs no daemon: it reads the files, or what is compiled in, with the daemon's own readers. Links
// no gRPC, so that the simulator can use it too.
//
// Ownership: values. Threading: pure but for reading the named files. Errors: in `error`, with the
// exit code that belongs to it (1); wrong words are told with 2.
#ifndef SCOVILLE_CLIENT_INSPECT_INSPECT_H_
#define SCOVILLE_CLIENT_INSPECT_INSPECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/terminal/terminal.h"

namespace scoville::client {

struct Inspection {
  int exit_code = 0;
  std::string out;    // for stdout
  std::string error;  // for stderr
};

// `action` is show, diff or check. Names are of built-in profiles, or paths of files; `show`
// without a name lists the built-in ones.
Inspection InspectProfiles(absl::string_view action, const std::vector<std::string>& names,
                           const Terminal& terminal, bool json);

struct CardQuestion {
  std::string profile = "jalapeno-gen1";  // a built-in name or a file
  int64_t chips = 0;                      // 0: the fewest that hold it, a power of two
  bool expert_parallel = false;
};

// `action` is show. Without a name it lists the built-in cards.
Inspection InspectCards(absl::string_view action, const std::vector<std::string>& names,
                        const CardQuestion& question, const Terminal& terminal, bool json);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_INSPECT_INSPECT_H_
