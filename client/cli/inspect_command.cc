// `scoville profile` and `scoville card`: what accelerators and models are known, no daemon needed.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/inspect/inspect.h"

namespace scoville::client {
namespace {

int Give(const Inspection& inspection) {
  std::fwrite(inspection.error.data(), 1, inspection.error.size(), stderr);
  return Session::Print(inspection.out) ? inspection.exit_code : kExitFailed;
}

struct Words {
  std::string action;
  std::vector<std::string> names;
  std::optional<uint32_t> chips;
  CardQuestion question;
};

}  // namespace

void DefineProfile(CommandLine* line) {
  auto words = std::make_shared<Words>();
  Command command = line->Add("profile", "Show, compare or check accelerator profiles", "Physics",
                              "  scoville profile show h100-sxm\n"
                              "  scoville profile diff h100-sxm b200-sxm\n"
                              "  scoville profile check my-chip.yaml\n");
  command.Text("ACTION", &words->action, "show, diff or check")
      .Required()
      .OneOf({"show", "diff", "check"});
  command.Texts("NAME|FILE", &words->names, "Profiles; show without one lists the built-in ones");
  command.Run([words](Session& session) {
    return Give(InspectProfiles(words->action, words->names, session.terminal(), session.json()));
  });
}

void DefineCard(CommandLine* line) {
  auto words = std::make_shared<Words>();
  Command command = line->Add("card", "Show model cards and the chips they need", "Physics",
                              "  scoville card show llama-3.1-70b\n"
                              "  scoville card show kimi-k2.5 --profile b200-sxm --chips 8\n"
                              "  scoville card show ./my-model/config.json\n");
  command.Text("ACTION", &words->action, "show").Required().OneOf({"show"});
  command.Texts("NAME|FILE", &words->names, "Cards; show without one lists the built-in ones");
  command.Text("--profile", &words->question.profile, "Accelerator: a built-in name or a file");
  command.Number("--chips", &words->chips, "Chips of one device; else the fewest that hold it")
      .Between(1, 1024);
  command.Flag("--expert-parallel", &words->question.expert_parallel, "Whole experts on each chip");
  command.Run([words](Session& session) {
    words->question.chips = words->chips.value_or(0);
    return Give(InspectCards(words->action, words->names, words->question, session.terminal(),
                             session.json()));
  });
}

}  // namespace scoville::client
