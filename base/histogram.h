// Counts of non-negative integers in logarithmic buckets: percentiles within 1.6 % of the value, in
// fixed memory.
//
// 64 linear sub-buckets per power of two (the scheme of HdrHistogram), so a bucket's width is below
// 1/64 of its value.
//
// Units: the caller's. Ownership: by value. Threading: one thread. Errors: a negative value is a
// CHECK failure.
#ifndef SCOVILLE_BASE_HISTOGRAM_H_
#define SCOVILLE_BASE_HISTOGRAM_H_

#include <cstdint>
#include <vector>

namespace scoville {

class Histogram {
 public:
  void Add(int64_t value, int64_t count = 1);
  void Merge(const Histogram& other);

  int64_t count() const { return count_; }
  // Exact.
  int64_t max() const { return max_; }
  double mean() const;
  // Nearest rank: the upper edge of the bucket that holds the ceil(p * count)-th value, at most
  // max(). p in [0, 1]. 0 when empty.
  int64_t Percentile(double p) const;

 private:
  std::vector<int64_t> buckets_;
  int64_t count_ = 0;
  int64_t max_ = 0;
  __int128 sum_ = 0;
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_HISTOGRAM_H_
