// Tokens per second of the transformer on the host: decode at several batch sizes, and prefill.
//
//   bench_model MODEL.gguf [--lanes N] [--context N] [--seconds S] [--without-avx512] [CASE...]
//
// A case is decode:ROWS or prefill:TOKENS; without any, the usual ones. Prints one JSON object a
// line. The next token of each row is drawn (greedy) inside the measured time, as in serving.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "hwy/targets.h"
#include "model/compute/kv_storage.h"
#include "model/compute/sampler.h"
#include "model/compute/transformer.h"
#include "tests/support/thread_team.h"

namespace scoville::tests {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Options {
  std::string model;
  int lanes = 2;
  int64_t context = 128;
  double seconds = 1.0;
  std::vector<std::string> cases;
};

class Bench {
 public:
  Bench(const model::Transformer& transformer, const Options& options)
      : transformer_(transformer), options_(options), team_(options.lanes) {}

  void Decode(int64_t rows) {
    Prepare(rows, options_.context + 256, rows);
    std::vector<std::vector<int32_t>> prompts;
    for (int64_t r = 0; r < rows; ++r) {
      prompts.push_back(RandomTokens(static_cast<uint64_t>(r), options_.context));
      Step({Sequence(r, prompts.back(), 0)});
    }
    int64_t steps = 0;
    const Clock::time_point start = Clock::now();
    // Back to the same context after some steps, so that every run measures the same work.
    while (SecondsSince(start) < options_.seconds) {
      std::vector<model::BatchSequence> batch;
      for (int64_t r = 0; r < rows; ++r) {
        batch.push_back(Sequence(r, absl::MakeConstSpan(&next_[static_cast<size_t>(r)], 1),
                                 options_.context + steps % 32));
      }
      Step(batch);
      ++steps;
    }
    Report("decode", rows, static_cast<double>(rows * steps) / SecondsSince(start));
  }

  void Prefill(int64_t tokens) {
    Prepare(1, tokens, tokens);
    const std::vector<int32_t> prompt = RandomTokens(7, tokens);
    model::BatchSequence sequence = Sequence(0, prompt, 0);
    Step({sequence});
    int64_t steps = 0;
    const Clock::time_point start = Clock::now();
    while (SecondsSince(start) < options_.seconds) {
      Step({sequence});
      ++steps;
    }
    Report("prefill", tokens, static_cast<double>(tokens * steps) / SecondsSince(start));
  }

 private:
  std::vector<int32_t> RandomTokens(uint64_t seed, int64_t count) const {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>(
          RandomBelow(seed, 0, static_cast<uint64_t>(i),
                      static_cast<uint64_t>(transformer_.config().vocabulary))));
    }
    return tokens;
  }

  void Prepare(int64_t sequences, int64_t length, int64_t max_rows) {
    constexpr int64_t kBlock = 16;
    blocks_each_ = (length + kBlock - 1) / kBlock;
    auto kv = model::KvStorage::Create(transformer_.config(), sequences * blocks_each_, kBlock);
    CHECK(kv.ok());
    kv_ = *std::move(kv);
    blocks_.clear();
    for (int64_t i = 0; i < sequences * blocks_each_; ++i) {
      blocks_.push_back(static_cast<uint32_t>(i));
    }
    next_.assign(static_cast<size_t>(sequences), 0);
    workspace_ = transformer_.NewWorkspace(std::max(max_rows, options_.context), options_.lanes);
  }

  // Only the last token of a sequence gets logits.
  model::BatchSequence Sequence(int64_t index, absl::Span<const int32_t> tokens,
                                int64_t position) const {
    return {tokens, position, kv_.get(),
            absl::MakeConstSpan(blocks_).subspan(static_cast<size_t>(index * blocks_each_),
                                                 static_cast<size_t>(blocks_each_)),
            static_cast<int64_t>(tokens.size()) - 1};
  }

  void Step(const std::vector<model::BatchSequence>& batch) {
    model::SamplingParams greedy;
    greedy.temperature = 0.0f;
    const auto consume = [&](int sequence, int64_t, absl::Span<float> logits) {
      next_[static_cast<size_t>(sequence)] = model::Sample(logits, greedy, {}).token;
    };
    team_.Run([&](int lane) { transformer_.Forward(batch, *workspace_, consume, team_, lane); });
  }

  void Report(const char* what, int64_t rows, double rate) const {
    std::printf("{\"case\": \"%s:%lld\", \"lanes\": %d, \"tokens_per_second\": %.1f}\n", what,
                static_cast<long long>(rows), options_.lanes, rate);
    std::fflush(stdout);
  }

  const model::Transformer& transformer_;
  const Options& options_;
  ThreadTeam team_;
  std::unique_ptr<model::KvStorage> kv_;
  std::unique_ptr<model::Transformer::Workspace> workspace_;
  std::vector<uint32_t> blocks_;
  std::vector<int32_t> next_;
  int64_t blocks_each_ = 0;
};

int Run(const Options& options) {
  auto file = model::GgufFile::Open(options.model);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", file.status().ToString().c_str());
    return 1;
  }
  const Clock::time_point start = Clock::now();
  auto transformer = model::Transformer::Load(**file);
  if (!transformer.ok()) {
    std::fprintf(stderr, "%s\n", transformer.status().ToString().c_str());
    return 1;
  }
  std::fprintf(stderr, "loaded in %.2f s; weights %s\n", SecondsSince(start),
               (*transformer)->weight_format().c_str());
  Bench bench(**transformer, options);
  for (const std::string& c : options.cases) {
    const size_t colon = c.find(':');
    const int64_t n = colon == std::string::npos ? 0 : std::atoll(c.c_str() + colon + 1);
    if (n > 0 && c.substr(0, colon) == "decode") {
      bench.Decode(n);
    } else if (n > 0 && c.substr(0, colon) == "prefill") {
      bench.Prefill(n);
    } else {
      std::fprintf(stderr, "unknown case %s: want decode:ROWS or prefill:TOKENS\n", c.c_str());
      return 2;
    }
  }
  return 0;
}

}  // namespace
}  // namespace scoville::tests

int main(int argc, char** argv) {
  scoville::tests::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const bool more = i + 1 < argc;
    if (arg == "--lanes" && more) {
      options.lanes = std::atoi(argv[++i]);
    } else if (arg == "--context" && more) {
      options.context = std::atoll(argv[++i]);
    } else if (arg == "--seconds" && more) {
      options.seconds = std::atof(argv[++i]);
    } else if (arg == "--without-avx512") {
      hwy::DisableTargets(HWY_AVX3 | HWY_AVX3_DL);
    } else if (options.model.empty()) {
      options.model = arg;
    } else {
      options.cases.push_back(arg);
    }
  }
  if (options.model.empty() || options.lanes < 1) {
    std::fprintf(stderr,
                 "usage: bench_model MODEL.gguf [--lanes N] [--context N] [--seconds S] "
                 "[--without-avx512] [CASE...]\n");
    return 2;
  }
  if (options.cases.empty()) {
    options.cases = {"decode:1", "decode:8", "decode:32", "decode:64", "prefill:512"};
  }
  return scoville::tests::Run(options);
}
