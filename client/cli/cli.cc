// The list of commands.
#include "client/cli/command_line.h"

namespace scoville::client {
namespace {

constexpr char kDescription[] =
    "scoville: completions from a Scoville daemon, and a look at its pool.\n"
    "Device time, power and energy are emulated.";

constexpr char kExamples[] =
    "Examples:\n"
    "  scoville run \"Why is the sky blue?\"     stream one answer\n"
    "  scoville run                            chat\n"
    "  scoville pool -l 1                      watch the devices\n"
    "  scoville model load small --devices 2   serve one more model\n"
    "  scoville power set 1200 --by 30s        a budget for the fleet\n"
    "  scoville device drain 2 --migrate       take a device out, its requests move\n"
    "  scoville models --json                  for scripts\n"
    "  scoville profile show h100-sxm          an accelerator's numbers, no daemon needed\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 69 unreachable, 75 refused (try later),\n"
    "77 not allowed, 130 interrupted.\n";

}  // namespace

int RunCli(int argc, char** argv) {
  CommandLine line(kDescription, kExamples, "scoville " SCOVILLE_VERSION);
  DefineRun(&line);
  DefineTokenize(&line);
  DefineModels(&line);
  DefinePool(&line);
  DefineModel(&line);
  DefineDevice(&line);
  DefinePower(&line);
  DefineExplain(&line);
  DefineHealth(&line);
  DefineProfile(&line);
  DefineCard(&line);
  DefineVersion(&line);
  DefineCompletion(&line);
  return line.ParseAndRun(argc, argv);
}

}  // namespace scoville::client
