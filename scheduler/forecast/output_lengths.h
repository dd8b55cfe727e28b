// How long outputs get: per key (a service class of a model) a decaying histogram, and from it the
// survival curve S(k | done) = P(length > done + k, given length > done).
//
// Outputs that were cut (max_tokens, a deadline, the client) say only that the length is at least
// so much. They leave the population at risk without counting as an end: the product-limit estimate
// of Kaplan and Meier (JASA 1958) over 64 bins, four to each power of two; linear inside a bin.
//
// Prior: until something is known a length is uniform on 1 .. max_tokens, so half of max_tokens is
// expected. It weighs as `prior_weight` outputs against those seen to reach `done`; so far out in
// the tail, where few were seen, it takes over again.
//
// Decay: by count, not by time, so that a replay sees the same: every half_life / 8 records of a
// key all its bins are multiplied by 2^(-1/8).
//
// Integers only; probabilities in Q16 (65,536 = 1). Everything about one request counts the tokens
// still to come after its first `done`, and ends at max_tokens. Threading: engine thread; a record
// costs O(64), a survival O(1). Errors: a key out of range, a negative length are CHECKs.
#ifndef SCOVILLE_SCHEDULER_FORECAST_OUTPUT_LENGTHS_H_
#define SCOVILLE_SCHEDULER_FORECAST_OUTPUT_LENGTHS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/units.h"

namespace scoville::scheduler {

struct OutputLengthsOptions {
  int32_t keys = 3;
  int64_t half_life = 1024;  // records; at least 8
  int64_t prior_weight = 8;  // records
};

class OutputLengths {
 public:
  static constexpr int kBins = 64;
  static constexpr int64_t kOne = 1 << 16;

  explicit OutputLengths(const OutputLengthsOptions& options);

  // `cut`: it did not end by itself.
  void Record(int32_t key, int64_t length, bool cut = false);

  // P(more than k further tokens), Q16. 1 for k = 0, 0 from max_tokens - done on; never rising in
  // k.
  int64_t Survival(int32_t key, int64_t done, int64_t k, int64_t max_tokens) const;
  // The least k with P(at most k further tokens) >= q; at most max_tokens - done.
  int64_t Quantile(int32_t key, int64_t done, int64_t q, int64_t max_tokens) const;
  // Mean of the further tokens, rounded up; at least 1 while done < max_tokens.
  int64_t Expected(int32_t key, int64_t done, int64_t max_tokens) const;

  // Records that count, after decay.
  int64_t weight(int32_t key) const;

  // Bin of a length, and its first length (of kBins: where the last one ends).
  static int BinOf(int64_t length);
  static int64_t FirstOf(int bin);

 private:
  static constexpr int64_t kOneRecord = 1 << 16;
  static constexpr int64_t kSurvivalOne = int64_t{1} << 40;

  struct Curve {
    std::array<int64_t, kBins> ended{};  // weights, kOneRecord each
    std::array<int64_t, kBins> cut{};
    // What follows from them: weight that reached each bin, and survival at the first length of it.
    std::array<int64_t, kBins + 1> at_risk{};
    std::array<int64_t, kBins + 1> survival{};
    int64_t since_decay = 0;
  };

  static void Decay(Curve& curve);
  static void Derive(Curve& curve);
  // P(length >= l) of the data alone, in parts of kSurvivalOne.
  static int64_t Reaches(const Curve& curve, int64_t length);
  static int64_t AtRisk(const Curve& curve, int64_t length);
  const Curve& Of(int32_t key) const;

  const int64_t decay_every_;
  const int64_t prior_weight_;
  std::vector<Curve> curves_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_FORECAST_OUTPUT_LENGTHS_H_
