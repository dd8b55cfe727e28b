#include "client/cli/chat_loop.h"

#include <cstdio>
#include <iostream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/answer.h"
#include "client/cli/exit_codes.h"

namespace scoville::client {
namespace {

constexpr absl::string_view kHelp =
    "/exit leaves (so does Ctrl-D), /clear forgets the conversation, /help shows this; Ctrl-C "
    "stops an answer.\n";

// The last message in and the answer out; a call that failed leaves no trace in the history.
void AnswerLine(Session& session, v1::ChatRequest& request, const std::string& line, bool verbose) {
  v1::ChatMessage* question = request.add_messages();
  question->set_role("user");
  question->set_content(line);
  Answer answer(&session, true);
  const absl::Status status = answer.Chat(request);
  if (!status.ok() && status.code() != absl::StatusCode::kCancelled) {
    session.Fail(status, "chat");
    request.mutable_messages()->RemoveLast();
    return;
  }
  if (status.ok() && verbose) {
    std::fprintf(stderr, "%s\n", answer.Summary().c_str());
  }
  if (!status.ok()) {
    Session::Print(session.terminal().Styled("[stopped]\n", Style::kDim));
  }
  v1::ChatMessage* reply = request.add_messages();
  reply->set_role("assistant");
  reply->set_content(answer.text());
}

void Forget(v1::ChatRequest& request) {
  const bool has_system = request.messages_size() > 0 && request.messages(0).role() == "system";
  while (request.messages_size() > (has_system ? 1 : 0)) {
    request.mutable_messages()->RemoveLast();
  }
}

}  // namespace

int RunChatLoop(Session& session, v1::ChatRequest request, bool verbose) {
  Session::Print(session.terminal().Styled(kHelp, Style::kDim));
  const std::string prompt = session.terminal().Styled("> ", Style::kBold);
  std::string line;
  while (true) {
    session.interrupts().SetHandler(
        [prompt] { Session::Print(absl::StrCat("\n(Ctrl-D or /exit leaves)\n", prompt)); });
    Session::Print(prompt);
    if (!std::getline(std::cin, line)) {
      Session::Print("\n");
      return kExitDone;
    }
    const std::string trimmed(absl::StripAsciiWhitespace(line));
    if (trimmed == "/exit" || trimmed == "/quit" || trimmed == "/bye") {
      return kExitDone;
    }
    if (trimmed == "/clear") {
      Forget(request);
      Session::Print("(forgotten)\n");
    } else if (absl::StartsWith(trimmed, "/") && trimmed.find(' ') == std::string::npos) {
      Session::Print(kHelp);
    } else if (!trimmed.empty()) {
      AnswerLine(session, request, line, verbose);
    }
  }
}

}  // namespace scoville::client
