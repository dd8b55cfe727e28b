// `scoville power`: budgets and caps, shown and set.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/quantity.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/views/message_json.h"
#include "client/views/power_view.h"
#include "scoville/v1/power.pb.h"

namespace scoville::client {
namespace {

constexpr char kUsage[] =
    "try `scoville power`, `scoville power set 1200 --by 30s` or `scoville power cap 0 300`";

struct PowerWords {
  std::string action;
  std::vector<std::string> words;
  std::string node;
  std::string model;
  std::string basis = "device";
  std::optional<std::string> by;
  std::optional<std::string> ramp;
  bool dry_run = false;
  bool best_effort = false;
};

// "1200", "1200W", "1.2kW".
absl::StatusOr<Power> ReadWatts(absl::string_view text) {
  double number = 0;
  return ParsePower(absl::SimpleAtod(text, &number) ? absl::StrCat(text, "W") : std::string(text));
}

int Show(Session& session, const PowerWords& words) {
  v1::GetPowerBudgetRequest request;
  request.set_model(words.model);
  const auto state = session.client().GetPowerBudget(request, session.call_options());
  if (!state.ok()) {
    return session.Fail(state.status(), "read the power budget");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*state));
  }
  return Session::Print(PowerBudgetText(*state, session.terminal())) ? kExitDone : kExitFailed;
}

// What was typed as a message; an error says which word could not be read.
absl::StatusOr<v1::SetPowerBudgetRequest> ReadSet(const PowerWords& words) {
  v1::SetPowerBudgetRequest request;
  const absl::StatusOr<Power> watts = ReadWatts(words.words[0]);
  if (!watts.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("WATTS: ", watts.status().message()));
  }
  request.set_milliwatts(watts->value());
  request.set_node(words.node);
  request.set_model(words.model);
  request.set_basis(words.basis == "wall" ? v1::POWER_BASIS_WALL : v1::POWER_BASIS_DEVICE);
  if (words.by) {
    const absl::StatusOr<Duration> by = ParseDuration(*words.by);
    if (!by.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--by: ", by.status().message()));
    }
    request.set_by_ns(by->value());
  }
  if (words.ramp) {
    const absl::StatusOr<Power> ramp = ReadWatts(absl::StripSuffix(*words.ramp, "/s"));
    if (!ramp.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--ramp: ", ramp.status().message()));
    }
    request.set_ramp_milliwatts_per_second(ramp->value());
  }
  request.set_dry_run(words.dry_run);
  request.set_best_effort(words.best_effort);
  return request;
}

int Set(Session& session, const PowerWords& words) {
  if (words.words.size() != 1) {
    return Session::Misused("power set takes one number of watts", kUsage);
  }
  const absl::StatusOr<v1::SetPowerBudgetRequest> request = ReadSet(words);
  if (!request.ok()) {
    return Session::Misused(std::string(request.status().message()), "");
  }
  const auto answer = session.client().SetPowerBudget(*request, session.call_options());
  if (!answer.ok()) {
    return session.Fail(answer.status(), "set the power budget");
  }
  // A script must not take "nothing was done" for success.
  const int code = answer->would_apply() ? kExitDone : kExitFailed;
  if (session.json()) {
    const int printed = session.PrintJson(MessageToJson(*answer));
    return printed == kExitDone ? code : printed;
  }
  return Session::Print(PowerAnswerText(*answer, words.dry_run, session.terminal())) ? code
                                                                                     : kExitFailed;
}

int Cap(Session& session, const PowerWords& words) {
  uint32_t device = 0;
  if (words.words.size() != 2 || !absl::SimpleAtoi(words.words[0], &device)) {
    return Session::Misused("power cap takes a device's number and watts", kUsage);
  }
  const absl::StatusOr<Power> watts = ReadWatts(words.words[1]);
  if (!watts.ok()) {
    return Session::Misused(absl::StrCat("WATTS: ", watts.status().message()), "");
  }
  v1::SetDevicePowerCapRequest request;
  request.set_device(device);
  request.set_model(words.model);
  request.set_cap_milliwatts(watts->value());
  const auto answer = session.client().SetDevicePowerCap(request, session.call_options());
  if (!answer.ok()) {
    return session.Fail(answer.status(), "cap the device");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*answer));
  }
  const double cap = static_cast<double>(answer->cap_milliwatts()) * 1e-3;
  std::string text = absl::StrCat("Device ", device, ": ", WattsText(cap));
  if (answer->cap_milliwatts() < answer->ceiling_milliwatts()) {
    absl::StrAppend(&text, ", less than asked for: a budget is in the way");
  }
  absl::StrAppend(&text,
                  answer->effective_in_ns() > 0
                      ? absl::StrCat("; holds in ", SecondsText(answer->effective_in_ns() * 1e-9))
                      : "; holds now");
  return Session::Print(absl::StrCat(text, " (emulated).\n")) ? kExitDone : kExitFailed;
}

int Run(Session& session, const PowerWords& words) {
  const bool set = words.action == "set";
  if (!set && (words.by || words.ramp || words.dry_run || words.best_effort ||
               !words.node.empty() || words.basis != "device")) {
    return Session::Misused("these options belong to `scoville power set`", kUsage);
  }
  if (words.action.empty() || words.action == "show") {
    return words.words.empty() ? Show(session, words) : Session::Misused("too many words", kUsage);
  }
  return set ? Set(session, words) : Cap(session, words);
}

}  // namespace

void DefinePower(CommandLine* line) {
  auto words = std::make_shared<PowerWords>();
  Command command = line->Add("power", "Show and set power budgets and caps", "Pool",
                              "  scoville power\n"
                              "  scoville power set 1200 --by 30s --ramp 50 --dry-run\n"
                              "  scoville power set 1.5kW --basis wall --best-effort\n"
                              "  scoville power cap 0 300\n");
  command.Text("ACTION", &words->action, "show (default), set WATTS, or cap DEVICE WATTS")
      .OneOf({"show", "set", "cap"});
  command.Texts("WORD", &words->words, "Watts as 1200, 1200W or 1.2kW; a device's number");
  command.Text("--by", &words->by, "With set: deadline from now, as 30s");
  command.Text("--ramp", &words->ramp, "With set: watts per second at most (default: at once)");
  command.Text("--basis", &words->basis, "With set: device or wall watts (default: device)")
      .OneOf({"device", "wall"});
  command.Text("--node", &words->node, "With set: a node of the budget tree (default: the fleet)");
  command.Text("--model", &words->model, "Whose devices (default: the only model's)");
  command.Flag("--dry-run", &words->dry_run, "With set: say what it would mean, change nothing");
  command.Flag("--best-effort", &words->best_effort,
               "With set: if it cannot be met, as near as can be");
  command.Run([words](Session& session) { return Run(session, *words); });
}

}  // namespace scoville::client
