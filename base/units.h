// Quantities as strong integer types; only products that mean something compile.
//
// Units: Duration and TimePoint in nanoseconds (TimePoint counts from engine start), Power in
// milliwatts, Energy in whole microjoules plus a remainder of picojoules, Tokens and Bytes as
// counts. 1 mW x 1 ns = 1 pJ, so energy is exact. Integer sums do not depend on their order, which
// is what makes two runs of the simulator equal to the last bit. Errors: none; an Energy
// beyond 9.2e18 uJ or a Duration beyond 292 years is a programmer error.
#ifndef SCOVILLE_BASE_UNITS_H_
#define SCOVILLE_BASE_UNITS_H_

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>

#include "base/status_macros.h"

namespace scoville {

namespace internal {

// A count with a tag: addable, comparable, scalable by integers, never mixed with a count of
// something else.
template <typename Tag>
class Count {
 public:
  constexpr Count() = default;
  constexpr explicit Count(int64_t value) : value_(value) {}

  constexpr int64_t value() const { return value_; }

  friend constexpr auto operator<=>(Count, Count) = default;
  friend constexpr Count operator+(Count a, Count b) { return Count(a.value_ + b.value_); }
  friend constexpr Count operator-(Count a, Count b) { return Count(a.value_ - b.value_); }
  friend constexpr Count operator-(Count a) { return Count(-a.value_); }
  friend constexpr Count operator*(Count a, int64_t k) { return Count(a.value_ * k); }
  friend constexpr Count operator*(int64_t k, Count a) { return Count(a.value_ * k); }
  friend constexpr Count operator/(Count a, int64_t k) { return Count(a.value_ / k); }
  friend constexpr int64_t operator/(Count a, Count b) { return a.value_ / b.value_; }
  constexpr Count& operator+=(Count b) {
    value_ += b.value_;
    return *this;
  }
  constexpr Count& operator-=(Count b) {
    value_ -= b.value_;
    return *this;
  }
  friend std::ostream& operator<<(std::ostream& os, Count c) {
    return os << c.value_ << Tag::kSuffix;
  }

 private:
  int64_t value_ = 0;
};

struct DurationTag {
  static constexpr const char* kSuffix = "ns";
};
struct PowerTag {
  static constexpr const char* kSuffix = "mW";
};
struct TokensTag {
  static constexpr const char* kSuffix = " tokens";
};
struct BytesTag {
  static constexpr const char* kSuffix = "B";
};

}  // namespace internal

using Duration = internal::Count<internal::DurationTag>;
using Power = internal::Count<internal::PowerTag>;
using Tokens = internal::Count<internal::TokensTag>;
using Bytes = internal::Count<internal::BytesTag>;

constexpr Duration Nanoseconds(int64_t n) { return Duration(n); }
constexpr Duration Microseconds(int64_t n) { return Duration(n * 1'000); }
constexpr Duration Milliseconds(int64_t n) { return Duration(n * 1'000'000); }
constexpr Duration Seconds(int64_t n) { return Duration(n * 1'000'000'000); }
constexpr Power Milliwatts(int64_t n) { return Power(n); }
constexpr Power Watts(int64_t n) { return Power(n * 1'000); }
constexpr double ToSeconds(Duration d) { return static_cast<double>(d.value()) * 1e-9; }
constexpr double ToWatts(Power p) { return static_cast<double>(p.value()) * 1e-3; }

// An instant on one engine's time line. The difference of two is a Duration; two cannot be added.
class TimePoint {
 public:
  constexpr TimePoint() = default;
  constexpr explicit TimePoint(int64_t ns_since_start) : ns_(ns_since_start) {}
  static constexpr TimePoint Max() { return TimePoint(INT64_MAX); }

  constexpr int64_t ns() const { return ns_; }

  friend constexpr auto operator<=>(TimePoint, TimePoint) = default;
  friend constexpr TimePoint operator+(TimePoint t, Duration d) {
    return TimePoint(t.ns_ + d.value());
  }
  friend constexpr TimePoint operator-(TimePoint t, Duration d) {
    return TimePoint(t.ns_ - d.value());
  }
  friend constexpr Duration operator-(TimePoint a, TimePoint b) { return Duration(a.ns_ - b.ns_); }
  constexpr TimePoint& operator+=(Duration d) {
    ns_ += d.value();
    return *this;
  }
  friend std::ostream& operator<<(std::ostream& os, TimePoint t) {
    return os << "t+" << t.ns_ << "ns";
  }

 private:
  int64_t ns_ = 0;
};

// An exact amount of energy: whole microjoules and the picojoules left over, 0 <= remainder <
// 1'000'000.
class Energy {
 public:
  static constexpr int64_t kPicojoulesPerMicrojoule = 1'000'000;

  constexpr Energy() = default;
  static constexpr Energy FromPicojoules(__int128 pj) {
    if (pj >= 0 && pj <= INT64_MAX) {
      // Nearly always: a division by a constant, and not a call for 128 bits.
      const int64_t small = static_cast<int64_t>(pj);
      Energy e;
      e.microjoules_ = small / kPicojoulesPerMicrojoule;
      e.picojoules_ = static_cast<int32_t>(small % kPicojoulesPerMicrojoule);
      return e;
    }
    __int128 uj = pj / kPicojoulesPerMicrojoule;
    __int128 rest = pj % kPicojoulesPerMicrojoule;
    if (rest < 0) {
      rest += kPicojoulesPerMicrojoule;
      uj -= 1;
    }
    Energy e;
    e.microjoules_ = static_cast<int64_t>(uj);
    e.picojoules_ = static_cast<int32_t>(rest);
    return e;
  }

  constexpr int64_t microjoules() const { return microjoules_; }
  constexpr int32_t picojoules() const { return picojoules_; }
  constexpr __int128 total_picojoules() const {
    return static_cast<__int128>(microjoules_) * kPicojoulesPerMicrojoule + picojoules_;
  }
  // For display and ratios only; sums are taken on the integers.
  constexpr double joules() const {
    return static_cast<double>(microjoules_) * 1e-6 + static_cast<double>(picojoules_) * 1e-12;
  }

  friend constexpr auto operator<=>(const Energy&, const Energy&) = default;
  friend constexpr Energy operator+(Energy a, Energy b) {
    // Both picojoules are in [0, 10^6): one carry at most.
    const int32_t picojoules = a.picojoules_ + b.picojoules_;
    const int32_t carry = picojoules >= kPicojoulesPerMicrojoule ? 1 : 0;
    Energy e;
    e.microjoules_ = a.microjoules_ + b.microjoules_ + carry;
    e.picojoules_ = picojoules - carry * static_cast<int32_t>(kPicojoulesPerMicrojoule);
    return e;
  }
  friend constexpr Energy operator-(Energy a, Energy b) {
    const int32_t picojoules = a.picojoules_ - b.picojoules_;
    const int32_t borrow = picojoules < 0 ? 1 : 0;
    Energy e;
    e.microjoules_ = a.microjoules_ - b.microjoules_ - borrow;
    e.picojoules_ = picojoules + borrow * static_cast<int32_t>(kPicojoulesPerMicrojoule);
    return e;
  }
  constexpr Energy& operator+=(Energy b) { return *this = *this + b; }
  constexpr Energy& operator-=(Energy b) { return *this = *this - b; }
  friend std::ostream& operator<<(std::ostream& os, Energy e) {
    return os << e.microjoules_ << "uJ+" << e.picojoules_ << "pJ";
  }

 private:
  int64_t microjoules_ = 0;
  int32_t picojoules_ = 0;
};

constexpr Energy operator*(Power p, Duration d) {
  return Energy::FromPicojoules(static_cast<__int128>(p.value()) * d.value());
}
constexpr Energy operator*(Duration d, Power p) { return p * d; }

}  // namespace scoville

#endif  // SCOVILLE_BASE_UNITS_H_
