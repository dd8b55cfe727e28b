// `scoville run`: one prompt, or a chat.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/answer.h"
#include "client/cli/chat_loop.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "nlohmann/json.hpp"

namespace scoville::client {
namespace {

constexpr char kExamples[] =
    "  scoville run \"Why is the sky blue?\" -v\n"
    "  scoville run --raw --temperature 0 --max-tokens 20 \"The capital of France is\"\n"
    "  cat report.txt | scoville run --system \"Summarise in one sentence.\"\n"
    "  scoville run --json-schema person.json \"Somebody famous, as JSON.\"\n"
    "  scoville run --choice yes --choice no \"Is the sky blue?\"\n"
    "  scoville run                    (a chat; /exit leaves)\n";

struct RunOptions {
  std::vector<std::string> prompt;
  std::string model;
  std::string system;
  std::optional<uint32_t> max_tokens;
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<uint32_t> top_k;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
  std::string request_id;
  std::optional<uint32_t> n;
  std::string schema_file;
  std::string schema;  // what the file says
  bool json_object = false;
  std::optional<std::string> regex;
  std::vector<std::string> choices;
  std::string service_class = "interactive";
  Duration ttft;
  Duration itl;
  bool no_drafts = false;
  bool raw = false;
  bool verbose = false;
};

template <typename Request>
void FillConstraint(const RunOptions& options, Request* request) {
  if (!options.schema_file.empty()) request->mutable_constraint()->set_json_schema(options.schema);
  if (options.json_object) request->mutable_constraint()->mutable_json_object();
  if (options.regex) request->mutable_constraint()->set_regex(*options.regex);
  for (const std::string& text : options.choices) {
    request->mutable_constraint()->mutable_choices()->add_texts(text);
  }
}

void FillScheduling(const RunOptions& options, v1::Scheduling* scheduling) {
  scheduling->set_service_class(options.service_class == "interactive"
                                    ? v1::SERVICE_CLASS_INTERACTIVE
                                : options.service_class == "batch" ? v1::SERVICE_CLASS_BATCH
                                                                   : v1::SERVICE_CLASS_STANDARD);
  scheduling->set_ttft_target_ns(static_cast<uint64_t>(options.ttft.value()));
  scheduling->set_itl_target_ns(static_cast<uint64_t>(options.itl.value()));
  scheduling->set_no_drafts(options.no_drafts);
}

// The parts that both kinds of request have under the same names.
template <typename Request>
void FillCommon(const RunOptions& options, Request* request) {
  request->set_model(options.model);
  request->set_request_id(options.request_id);
  v1::Sampling* sampling = request->mutable_sampling();
  if (options.temperature) sampling->set_temperature(*options.temperature);
  if (options.top_p) sampling->set_top_p(*options.top_p);
  if (options.top_k) sampling->set_top_k(*options.top_k);
  if (options.seed) sampling->set_seed(*options.seed);
  if (options.max_tokens) request->mutable_stop()->set_max_tokens(*options.max_tokens);
  request->mutable_stop()->mutable_strings()->Add(options.stop.begin(), options.stop.end());
  if (options.n) sampling->set_n(*options.n);
  FillConstraint(options, request);
  FillScheduling(options, request->mutable_scheduling());
}

v1::ChatRequest ChatOf(const RunOptions& options) {
  v1::ChatRequest request;
  FillCommon(options, &request);
  if (!options.system.empty()) {
    v1::ChatMessage* message = request.add_messages();
    message->set_role("system");
    message->set_content(options.system);
  }
  return request;
}

absl::Status Ask(const RunOptions& options, const std::string& prompt, Answer* answer) {
  if (options.raw) {
    v1::GenerateRequest request;
    FillCommon(options, &request);
    request.set_text(prompt);
    return answer->Generate(request);
  }
  v1::ChatRequest request = ChatOf(options);
  v1::ChatMessage* message = request.add_messages();
  message->set_role("user");
  message->set_content(prompt);
  return answer->Chat(request);
}

// What cannot be understood, or nothing.
std::optional<std::string> ReadSchema(RunOptions* options) {
  if (options->schema_file.empty()) {
    return std::nullopt;
  }
  std::ifstream file(options->schema_file, std::ios::binary);
  if (!file) {
    return absl::StrCat("cannot read the schema: ", options->schema_file);
  }
  options->schema.assign(std::istreambuf_iterator<char>(file), {});
  return std::nullopt;
}

int Run(Session& session, RunOptions options) {
  session.interrupts();  // before any other thread exists
  const Terminal& terminal = session.terminal();
  if (const auto wrong = ReadSchema(&options)) {
    return Session::Misused(*wrong, "--json-schema takes the path of a file");
  }
  std::string prompt = absl::StrJoin(options.prompt, " ");
  if (prompt.empty() && terminal.stdin_is_terminal) {
    if (options.raw || session.json() || options.n || !terminal.stdout_is_terminal) {
      return Session::Misused("no prompt given",
                              "a chat needs a terminal, and none of --raw, --n and "
                              "--json; else write the prompt as an argument");
    }
    return RunChatLoop(session, ChatOf(options), options.verbose);
  }
  if (prompt.empty() || prompt == "-") {
    prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  if (prompt.empty()) {
    return Session::Misused("the prompt is empty", "write it as an argument or to standard input");
  }
  Answer answer(&session, !session.json(), options.n.value_or(1));
  const absl::Status status = Ask(options, prompt, &answer);
  if (!status.ok()) {
    return session.Fail(status, options.raw ? "generate" : "chat");
  }
  if (session.json()) {
    return session.PrintJson(answer.Json());
  }
  if (options.verbose) {
    std::fprintf(stderr, "%s\n", answer.Summary().c_str());
  }
  return kExitDone;
}

}  // namespace

void DefineRun(CommandLine* line) {
  auto options = std::make_shared<RunOptions>();
  RunOptions* o = options.get();
  line->Add("run", "Stream an answer, or chat", "Completions", kExamples)
      .Texts("PROMPT", &o->prompt,
             "What to answer; none or -: standard input, on a terminal a chat")
      .Text("-m,--model", &o->model, "Model (default: the only one served)")
      .Text("--system", &o->system, "System message (default: the model's own, if it has one)")
      .Number("-n,--max-tokens", &o->max_tokens,
              "Longest answer in tokens (default: what the context leaves)")
      .Number("--temperature", &o->temperature, "0 to 2, 0 is greedy (default 1)")
      .Number("--top-p", &o->top_p, "Above 0, to 1 (default 1)")
      .Number("--top-k", &o->top_k, "0 keeps every token (default 0)")
      .Number("--seed", &o->seed, "Same seed, same answer (default: a new one)")
      .Texts("--stop", &o->stop, "End before this text; may be given 16 times")
      .Text("--request-id", &o->request_id, "Id for logs and `scoville explain`")
      .Number("--n", &o->n, "Answers to draw, 1 to 16; printed when all have come (default 1)")
      .Between(1, 16)
      .Text("--json-schema", &o->schema_file, "The answer matches the JSON Schema in this file")
      .Flag("--json-object", &o->json_object, "The answer is a JSON object")
      .Excludes("--json-schema")
      .Text("--regex", &o->regex, "The whole answer matches this regular expression")
      .Excludes("--json-schema")
      .Excludes("--json-object")
      .Texts("--choice", &o->choices, "The answer is one of these texts; may be given 1,024 times")
      .Excludes("--json-schema")
      .Excludes("--json-object")
      .Excludes("--regex")
      .Text("--class", &o->service_class,
            "How urgent it is: interactive, standard or batch (default interactive)")
      .OneOf({"interactive", "standard", "batch"})
      .Time("--ttft", &o->ttft, "Target of the time to the first token, as 200ms")
      .Time("--itl", &o->itl, "Target of the time between tokens, as 20ms")
      .Flag("--no-drafts", &o->no_drafts, "Guess no tokens ahead; they are the same either way")
      .Flag("--raw", &o->raw, "Continue the prompt as it is, without chat template")
      .Flag("-v,--verbose", &o->verbose, "Then tokens, times and joules on standard error")
      .Run([options](Session& session) { return Run(session, *options); });
}

}  // namespace scoville::client
