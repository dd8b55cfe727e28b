// `scoville-sim power ...`: the options of the power sweeps, and what to do with them.
//
// Ownership: the command owns what its options write to and must outlive the parsing. Threading:
// one thread. Errors: as absl::Status; the program turns InvalidArgument and NotFound into its
// exit code for configurations.
#ifndef SCOVILLE_SIM_POWER_POWER_COMMAND_H_
#define SCOVILLE_SIM_POWER_POWER_COMMAND_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace scoville::sim::power {

class PowerCommand {
 public:
  // Registers `power` and its sub-commands below `app`, which outlives this.
  explicit PowerCommand(CLI::App* app);
  ~PowerCommand();

  bool parsed() const;
  // After parsing: what stdout is to show; files are written where --out asks for them.
  // `command_line` goes into the report.
  absl::StatusOr<std::string> Run(const std::string& command_line) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_POWER_COMMAND_H_
