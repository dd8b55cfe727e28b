// `scoville tokenize` and `scoville detokenize`.
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/exit_codes.h"
#include "client/cli/message_json.h"
#include "client/cli/session.h"
#include "client/terminal/text_width.h"
#include "scoville/v1/completions.pb.h"

namespace scoville::client {
namespace {

struct TokenizeOptions {
  std::string text;
  std::string model;
  bool control = false;
  bool verbose = false;
};

int Tokenize(Session& session, const TokenizeOptions& options, bool from_input) {
  v1::TokenizeRequest request;
  request.set_model(options.model);
  request.set_allow_control_tokens(options.control);
  request.set_text(options.text);
  if (from_input) {
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

void DefineTokenize(CLI::App* app, Invocation* invocation) {
  CLI::App* tokenize =
      AddCommand(app, invocation, "tokenize", "Show a text's token ids", "Completions",
                 "  scoville tokenize \"Hello, world\" -v\n"
                 "  scoville detokenize $(scoville tokenize \"Hello\")\n");
  auto options = std::make_shared<TokenizeOptions>();
  CLI::Option* text = tokenize->add_option("TEXT", options->text, "The text; none: standard input");
  tokenize->add_option("-m,--model", options->model, "Model (default: the only one served)");
  tokenize->add_flag("--control", options->control,
                     "Names of control tokens in the text stand for those tokens");
  tokenize->add_flag("-v,--verbose", options->verbose, "A line per token: id and text");
  tokenize->callback([=] {
    const bool from_input = text->count() == 0;
    invocation->action = [=](Session& session) { return Tokenize(session, *options, from_input); };
  });

  CLI::App* detokenize = AddCommand(app, invocation, "detokenize", "Show the text of token ids",
                                    "Completions", "  scoville detokenize 19556 28 905\n");
  auto ids = std::make_shared<std::vector<uint32_t>>();
  auto model = std::make_shared<std::string>();
  detokenize->add_option("IDS", *ids, "Token ids")->required();
  detokenize->add_option("-m,--model", *model, "Model (default: the only one served)");
  detokenize->callback([=] {
    invocation->action = [=](Session& session) { return Detokenize(session, *ids, *model); };
  });
}

}  // namespace scoville::client
