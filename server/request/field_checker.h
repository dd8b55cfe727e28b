// Collects what is wrong with a request's fields, so that a client learns all of it at once.
//
// Ownership: owns what it collected. Threading: one thread. Errors: Error() gives the result; at
// most kMaxViolations are kept.
#ifndef SCOVILLE_SERVER_REQUEST_FIELD_CHECKER_H_
#define SCOVILLE_SERVER_REQUEST_FIELD_CHECKER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/errors/service_error.h"

namespace scoville::server {

class FieldChecker {
 public:
  static constexpr size_t kMaxViolations = 16;

  void Invalid(absl::string_view field, absl::string_view description) {
    if (invalid_.size() < kMaxViolations) {
      invalid_.push_back({std::string(field), std::string(description)});
    }
  }
  void Unsupported(absl::string_view field, absl::string_view description) {
    unsupported_.push_back({std::string(field), std::string(description)});
  }

  // NaN lies in no range.
  void InRange(absl::string_view field, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
      Invalid(field, absl::StrCat("is ", value, ", must be ", low, " to ", high));
    }
  }
  void AboveZero(absl::string_view field, double value, double high) {
    if (!(value > 0 && value <= high)) {
      Invalid(field, absl::StrCat("is ", value, ", must be above 0, at most ", high));
    }
  }
  void AtMost(absl::string_view field, uint64_t value, uint64_t limit, absl::string_view unit) {
    if (value > limit) {
      Invalid(field, absl::StrCat("has ", value, " ", unit, ", the limit is ", limit));
    }
  }

  bool ok() const { return invalid_.empty() && unsupported_.empty(); }

  // Nothing if nothing was wrong. What is invalid comes before what is not served yet.
  std::optional<ServiceError> Error() const {
    if (ok()) {
      return std::nullopt;
    }
    const std::vector<FieldViolation>& list = invalid_.empty() ? unsupported_ : invalid_;
    ServiceError error = invalid_.empty() ? UnsupportedFeature(list[0].field, list[0].description)
                                          : InvalidField(list[0].field, list[0].description);
    if (list.size() > 1) {
      error.message += absl::StrCat(" (and ", list.size() - 1, " more)");
      error.violations = list;
    }
    return error;
  }

 private:
  std::vector<FieldViolation> invalid_;
  std::vector<FieldViolation> unsupported_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_REQUEST_FIELD_CHECKER_H_
