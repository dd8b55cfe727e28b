#include "client/cli/answer.h"

#include <unistd.h>

#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/text_width.h"
#include "client/views/message_json.h"
#include "nlohmann/json.hpp"

namespace scoville::client {
namespace {

double ToJoules(const v1::Energy& energy) {
  return static_cast<double>(energy.microjoules()) * 1e-6 + energy.picojoules() * 1e-12;
}

std::string FinishReasons(const v1::Final& last) {
  std::vector<std::string> reasons;
  for (const v1::ChoiceEnd& choice : last.choices()) {
    reasons.push_back(EnumText(*v1::FinishReason_descriptor(), choice.finish_reason()));
  }
  return absl::StrJoin(reasons, ",");
}

}  // namespace

template <typename Call>
absl::Status Answer::Run(const Call& call) {
  CallCanceller canceller;
  CallOptions options = session_->call_options();
  options.canceller = &canceller;
  session_->interrupts().SetHandler([&canceller] {
    if (canceller.cancelled()) {
      _exit(kExitInterrupted);
    }
    canceller.Cancel();
  });
  start_ = absl::Now();
  absl::StatusOr<v1::Final> result =
      call(options, [this](const v1::Chunk& chunk) { return OnChunk(chunk); });
  session_->interrupts().SetHandler(nullptr);
  const bool one = texts_.size() == 1;
  if (one && stream_ && !text().empty() && text().back() != '\n' && !reader_gone_) {
    Session::Print("\n");
  }
  if (!result.ok()) {
    return result.status();
  }
  final_ = *std::move(result);
  if (!one && stream_) {
    PrintChoices();
  }
  return absl::OkStatus();
}

void Answer::PrintChoices() {
  const Terminal& terminal = session_->terminal();
  for (const v1::ChoiceEnd& choice : final_.choices()) {
    const std::string head =
        absl::StrCat("--- choice ", choice.index(), ", ",
                     EnumText(*v1::FinishReason_descriptor(), choice.finish_reason()), " ---");
    const std::string& text =
        choice.index() < texts_.size() ? texts_[choice.index()] : texts_.front();
    Session::Print(absl::StrCat(terminal.Styled(head, Style::kDim), "\n",
                                terminal.stdout_is_terminal ? Printable(text) : text,
                                !text.empty() && text.back() == '\n' ? "" : "\n"));
  }
}

absl::Status Answer::Chat(const v1::ChatRequest& request) {
  return Run([&](const CallOptions& options, const Client::ChunkCallback& on_chunk) {
    return session_->client().Chat(request, options, on_chunk);
  });
}

absl::Status Answer::Generate(const v1::GenerateRequest& request) {
  return Run([&](const CallOptions& options, const Client::ChunkCallback& on_chunk) {
    return session_->client().Generate(request, options, on_chunk);
  });
}

bool Answer::OnChunk(const v1::Chunk& chunk) {
  if (chunk.tokens() > 0) {
    last_ = absl::Now();
    if (first_ == absl::Time()) {
      first_ = last_;
      first_tokens_ = chunk.tokens();
    }
  }
  if (chunk.index() >= texts_.size()) {
    texts_.resize(chunk.index() + 1);
  }
  texts_[chunk.index()].append(chunk.text());
  if (stream_ && texts_.size() == 1 && !chunk.text().empty()) {
    reader_gone_ = !Session::Print(session_->terminal().stdout_is_terminal ? Printable(chunk.text())
                                                                           : chunk.text());
  }
  return !reader_gone_;
}

double Answer::Joules() const { return ToJoules(final_.energy().total()); }

// Of the tokens after the first chunk, over the time they took to arrive here.
double Answer::TokensPerSecond() const {
  const double seconds = absl::ToDoubleSeconds(last_ - first_);
  const uint64_t tokens = final_.usage().completion_tokens();
  return tokens > first_tokens_ && seconds > 0
             ? static_cast<double>(tokens - first_tokens_) / seconds
             : std::numeric_limits<double>::quiet_NaN();
}

std::string Answer::Summary() const {
  const v1::Usage& usage = final_.usage();
  const double output = static_cast<double>(usage.completion_tokens());
  const std::string cached =
      usage.cached_tokens() == 0 ? "" : absl::StrCat(" (", usage.cached_tokens(), " cached)");
  return absl::StrCat(
      "[", usage.prompt_tokens(), " prompt", cached, " + ", usage.completion_tokens(),
      " output tokens, ", FinishReasons(final_), "; first token ",
      first_ == absl::Time() ? "-" : SecondsText(absl::ToDoubleSeconds(first_ - start_)), ", then ",
      RateText(TokensPerSecond()), " tokens/s; ", JoulesText(Joules()), ", ",
      output > 0 ? JoulesText(Joules() / output) : "- J", "/token, ",
      QuotientText(output, Joules()),
      " tokens/s/W (output tokens per device joule of this request; energy is emulated)]");
}

nlohmann::ordered_json Answer::Json() const {
  const double output = static_cast<double>(final_.usage().completion_tokens());
  const double rate = TokensPerSecond();
  const auto figure = [](bool known, double value) {
    return known ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json json;
  json["text"] = text();
  json["choices"] = nlohmann::ordered_json::array();
  for (const v1::ChoiceEnd& choice : final_.choices()) {
    json["choices"].push_back(
        {{"index", choice.index()},
         {"text", choice.index() < texts_.size() ? texts_[choice.index()] : ""},
         {"finish_reason", EnumText(*v1::FinishReason_descriptor(), choice.finish_reason())},
         {"seed", choice.seed()}});
  }
  json["finish_reason"] = FinishReasons(final_);
  json["joules"] = Joules();
  json["joules_per_output_token"] = figure(output > 0, Joules() / output);
  json["output_tokens_per_joule"] = figure(Joules() > 0, output / Joules());
  json["client_first_token_seconds"] =
      figure(first_ != absl::Time(), absl::ToDoubleSeconds(first_ - start_));
  json["client_output_tokens_per_second"] = figure(rate == rate, rate);
  json["final"] = MessageToJson(final_);
  return json;
}

}  // namespace scoville::client
