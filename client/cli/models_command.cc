// `scoville models`: what is served.
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/views/message_json.h"
#include "scoville/v1/completions.pb.h"

namespace scoville::client {
namespace {

int Models(Session& session) {
  const auto response = session.client().ListModels(session.call_options());
  if (!response.ok()) {
    return session.Fail(response.status(), "list models");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*response));
  }
  Table table({{.heading = "Model", .flexible = true},
               {.heading = "State"},
               {.heading = "Executor"},
               {.heading = "Context", .right = true},
               {.heading = "Vocabulary", .right = true},
               {.heading = "Parameters", .right = true, .optional = true},
               {.heading = "Chat template", .optional = true}});
  for (const v1::Model& model : response->models()) {
    table.AddRow({{model.id()},
                  {model.state(), model.state() == "ready" ? Style::kGreen : Style::kYellow},
                  {model.executor()},
                  {CountText(static_cast<int64_t>(model.context()))},
                  {CountText(static_cast<int64_t>(model.vocabulary()))},
                  {CompactText(static_cast<int64_t>(model.parameters()))},
                  {model.chat_template().empty() ? "-" : model.chat_template()}});
  }
  return Session::Print(table.Render(session.terminal())) ? kExitDone : kExitFailed;
}

}  // namespace

void DefineModels(CommandLine* line) {
  line->Add("models", "List the models that are served", "Completions",
            "  scoville models\n  scoville models --json\n")
      .Run(Models);
}

}  // namespace scoville::client
