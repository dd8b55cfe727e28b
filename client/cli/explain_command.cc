// `scoville explain`: why a request is where it is.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/text_width.h"
#include "client/views/message_json.h"
#include "scoville/v1/pool.pb.h"

namespace scoville::client {
namespace {

std::string Describe(const v1::LiveRequest& request) {
  const std::string phase = EnumText(*v1::RequestPhase_descriptor(), request.phase());
  std::string text = absl::StrCat("request     ", request.request_id(), "\nphase       ", phase);
  if (request.has_device()) {
    absl::StrAppend(&text, " on device ", request.device());
  } else {
    absl::StrAppend(&text, ", ", request.rank(), " ahead of it");
  }
  if (request.wait() > v1::WAIT_REASON_NONE) {
    absl::StrAppend(&text, "\nwaits for   ", EnumText(*v1::WaitReason_descriptor(), request.wait()),
                    request.detail().empty() ? "" : ": ", request.detail());
  }
  if (request.has_wait_bound_ns() && request.wait() > v1::WAIT_REASON_NONE) {
    absl::StrAppend(&text, "\nat most     ",
                    SecondsText(static_cast<double>(request.wait_bound_ns()) * 1e-9),
                    ", as far as can be foreseen");
  } else if (!request.unbounded().empty()) {
    absl::StrAppend(&text, "\nno bound    ", request.unbounded());
  }
  const v1::Energy& energy = request.energy().total();
  absl::StrAppend(
      &text, "\nage         ", SecondsText(static_cast<double>(request.age_ns()) * 1e-9),
      "\ntokens      ", request.prompt_tokens(), " prompt, ", request.output_tokens(), " output, ",
      request.computed_tokens(), " in the KV cache\nenergy      ",
      JoulesText(static_cast<double>(energy.microjoules()) * 1e-6 + energy.picojoules() * 1e-12),
      " so far (emulated)\nblocks      ", request.shared_blocks(), " shared with others",
      request.pinned() ? ", what it may come to need is kept for it" : "", "\npreempted   ",
      request.preemptions(), " times, moved ", request.migrations(), " times\n");
  return Printable(text);
}

int Explain(Session& session, const std::string& id) {
  v1::ExplainRequest request;
  request.set_request_id(id);
  const auto response = session.client().Explain(request, session.call_options());
  if (!response.ok()) {
    return session.Fail(response.status(), "explain");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(response->request()));
  }
  return Session::Print(Describe(response->request())) ? kExitDone : kExitFailed;
}

}  // namespace

void DefineExplain(CommandLine* line) {
  auto id = std::make_shared<std::string>();
  line->Add("explain", "Say why a request waits", "Pool", "  scoville explain my-request-7\n")
      .Text("ID", id.get(), "The request's id, as given or reported")
      .Required()
      .Run([id](Session& session) { return Explain(session, *id); });
}

}  // namespace scoville::client
