// How long a prompt of a megabyte takes to be tokenised while eight constraints compile: behind
// them on one worker, and on a worker of its own. tests/bench/grammar/README.md.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/gguf/gguf_file.h"
#include "model/grammar/constraint.h"
#include "model/text/tokenizer.h"
#include "server/runtime/background_worker.h"
#include "tests/support/model_path.h"

namespace scoville {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr int kConstraints = 8;

double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Run(const model::Tokenizer& tokenizer) {
  const auto index = *model::TokenIndex::Create(tokenizer);
  // Which of the last 14 characters was an a: 16,384 states.
  const model::ConstraintSpec slow{model::ConstraintSpec::Kind::kRegex, "[ab]*a[ab]{13}", {}};
  std::string text;
  while (text.size() < (1 << 20)) {
    absl::StrAppend(&text, "Sentence ", text.size(), " of a long prompt. ");
  }
  std::vector<double> alone, behind, beside, compiling;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    CHECK(!tokenizer.Encode(text).tokens.empty());
    alone.push_back(MillisecondsSince(begin));
    for (const bool own : {false, true}) {
      server::BackgroundWorkers workers(Bytes(64 << 20));
      std::promise<double> compiled, tokenised;
      const auto posted = Clock::now();
      for (int i = 1; i <= kConstraints; ++i) {
        workers.constraints.Post(Bytes(), [&, i] {
          CHECK(model::CompileConstraint(slow, index, {}).ok());
          if (i == kConstraints) compiled.set_value(MillisecondsSince(posted));
        });
      }
      (own ? workers.prompts : workers.constraints).Post(Bytes(), [&] {
        CHECK(!tokenizer.Encode(text).tokens.empty());
        tokenised.set_value(MillisecondsSince(posted));
      });
      (own ? beside : behind).push_back(tokenised.get_future().get());
      compiling.push_back(compiled.get_future().get());
    }
  }
  std::printf(
      "{\"prompt_bytes\": %zu, \"compile_ms\": %.0f, \"alone_ms\": %.0f, \"one_worker_ms\": %.0f, "
      "\"own_worker_ms\": %.0f}\n",
      text.size(), Median(compiling), Median(alone), Median(behind), Median(beside));
}

}  // namespace
}  // namespace scoville

int main() {
  const auto file = scoville::model::GgufFile::Open(scoville::tests::ModelPath());
  CHECK(file.ok());
  const auto tokenizer = scoville::model::Tokenizer::Create(**file);
  CHECK(tokenizer.ok());
  scoville::Run(**tokenizer);
  return 0;
}
