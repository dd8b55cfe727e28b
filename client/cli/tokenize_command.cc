// `scoville tokenize` and `scoville detokenize`.
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/text_width.h"
#include "client/views/message_json.h"
#include "scoville/v1/completions.pb.h"

namespace scoville::client {
namespace {

struct TokenizeOptions {
  std::optional<std::string> text;
  std::string model;
  bool control = false;
  bool verbose = false;
};

int Tokenize(Session& session, const TokenizeOptions& options) {
  v1::TokenizeRequest request;
  request.set_model(options.model);
  request.set_allow_control_tokens(options.control);
  if (options.text.has_value()) {
    request.set_text(*options.text);
  } else {
    request.mutable_text()->assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  const auto response = session.client().Tokenize(request, session.call_options());
  if (!response.ok()) {
    return session.Fail(response.status(), "tokenize");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*response));
  }
  std::string out;
  if (options.verbose) {
    for (int i = 0; i < response->token_ids_size(); ++i) {
      const std::string token = i < response->tokens_size() ? response->tokens(i) : "";
      absl::StrAppend(&out, response->token_ids(i), "\t", nlohmann::json(Printable(token)).dump(),
                      "\n");
    }
  } else {
    out = absl::StrCat(absl::StrJoin(response->token_ids(), " "), "\n");
  }
  return Session::Print(out) ? kExitDone : kExitFailed;
}

int Detokenize(Session& session, const std::vector<uint32_t>& ids, const std::string& model) {
  v1::DetokenizeRequest request;
  request.set_model(model);
  request.mutable_token_ids()->Add(ids.begin(), ids.end());
  const auto response = session.client().Detokenize(request, session.call_options());
  if (!response.ok()) {
    return session.Fail(response.status(), "detokenize");
  }
  if (session.json()) {
    nlohmann::ordered_json json;
    json["text"] = Printable(response->text());
    json["bytes"] = MessageToJson(*response)["text"];
    return session.PrintJson(json);
  }
  const bool terminal = session.terminal().stdout_is_terminal;
  return Session::Print(terminal ? absl::StrCat(Printable(response->text()), "\n")
                                 : response->text())
             ? kExitDone
             : kExitFailed;
}

}  // namespace

void DefineTokenize(CommandLine* line) {
  auto options = std::make_shared<TokenizeOptions>();
  line->Add("tokenize", "Show a text's token ids", "Completions",
            "  scoville tokenize \"Hello, world\" -v\n"
            "  scoville detokenize $(scoville tokenize \"Hello\")\n")
      .Text("TEXT", &options->text, "The text; none: standard input")
      .Text("-m,--model", &options->model, "Model (default: the only one served)")
      .Flag("--control", &options->control,
            "Names of control tokens in the text stand for those tokens")
      .Flag("-v,--verbose", &options->verbose, "A line per token: id and text")
      .Run([options](Session& session) { return Tokenize(session, *options); });

  auto ids = std::make_shared<std::vector<uint32_t>>();
  auto model = std::make_shared<std::string>();
  line->Add("detokenize", "Show the text of token ids", "Completions",
            "  scoville detokenize 19556 28 905\n")
      .Numbers("IDS", ids.get(), "Token ids")
      .Required()
      .Text("-m,--model", model.get(), "Model (default: the only one served)")
      .Run([ids, model](Session& session) { return Detokenize(session, *ids, *model); });
}

}  // namespace scoville::client
