#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/status_macros.h"

namespace scoville {

namespace {

constexpr int kSubBits = 6;
constexpr int64_t kSub = int64_t{1} << kSubBits;

size_t BucketOf(int64_t value) {
  if (value < kSub) {
    return static_cast<size_t>(value);
  }
  const int shift = std::bit_width(static_cast<uint64_t>(value)) - 1 - kSubBits;
  return static_cast<size_t>((shift + 1) * kSub + ((value >> shift) - kSub));
}

int64_t UpperEdge(size_t bucket) {
  const int64_t b = static_cast<int64_t>(bucket);
  if (b < kSub) {
    return b;
  }
  const int shift = static_cast<int>(b / kSub) - 1;
  const uint64_t low = static_cast<uint64_t>(kSub + b % kSub) << shift;
  return static_cast<int64_t>(low + ((uint64_t{1} << shift) - 1));
}

}  // namespace

void Histogram::Add(int64_t value, int64_t count) {
  CHECK_GE(value, 0);
  const size_t bucket = BucketOf(value);
  if (bucket >= buckets_.size()) {
    buckets_.resize(bucket + 1);
  }
  buckets_[bucket] += count;
  count_ += count;
  max_ = std::max(max_, value);
  sum_ += static_cast<__int128>(value) * count;
}

void Histogram::Merge(const Histogram& other) {
  if (other.buckets_.size() > buckets_.size()) {
    buckets_.resize(other.buckets_.size());
  }
  for (size_t i = 0; i < other.buckets_.size(); ++i) {
    buckets_[i] += other.buckets_[i];
  }
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::mean() const {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

int64_t Histogram::Percentile(double p) const {
  if (count_ == 0) {
    return 0;
  }
  const int64_t rank = std::clamp<int64_t>(
      static_cast<int64_t>(std::ceil(p * static_cast<double>(count_))), 1, count_);
  int64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) {
      return std::min(UpperEdge(i), max_);
    }
  }
  return max_;
}

}  // namespace scoville
