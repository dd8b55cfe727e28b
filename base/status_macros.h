// Early returns for absl::Status and absl::StatusOr, and CHECK for programmer errors.
//
// Abseil of Debian 12 has neither. CHECK stays on in release builds: a broken invariant ends the
// process with the place and the values, since a scheduler that goes on with a wrong table serves
// wrong tokens.
#ifndef SCOVILLE_BASE_STATUS_MACROS_H_
#define SCOVILLE_BASE_STATUS_MACROS_H_

#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace scoville::internal {

[[noreturn]] void CheckFailed(const char* file, int line, const char* what,
                              const std::string& detail);

template <typename A, typename B>
[[noreturn]] void CheckOpFailed(const char* file, int line, const char* what, const A& a,
                                const B& b) {
  std::ostringstream os;
  os << a << " vs. " << b;
  CheckFailed(file, line, what, os.str());
}

}  // namespace scoville::internal

#define SCOVILLE_CONCAT_INNER(a, b) a##b
#define SCOVILLE_CONCAT(a, b) SCOVILLE_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)           \
  do {                                  \
    absl::Status status_macro = (expr); \
    if (!status_macro.ok()) {           \
      return status_macro;              \
    }                                   \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(SCOVILLE_CONCAT(status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                          \
  if (!tmp.ok()) {                            \
    return tmp.status();                      \
  }                                           \
  lhs = std::move(tmp).value()

#define CHECK(cond)                                                     \
  do {                                                                  \
    if (!(cond)) {                                                      \
      ::scoville::internal::CheckFailed(__FILE__, __LINE__, #cond, ""); \
    }                                                                   \
  } while (false)

#define CHECK_OP(a, op, b)                                                                \
  do {                                                                                    \
    const auto& check_a = (a);                                                            \
    const auto& check_b = (b);                                                            \
    if (!(check_a op check_b)) {                                                          \
      ::scoville::internal::CheckOpFailed(__FILE__, __LINE__, #a " " #op " " #b, check_a, \
                                          check_b);                                       \
    }                                                                                     \
  } while (false)

#define CHECK_EQ(a, b) CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) CHECK_OP(a, !=, b)
#define CHECK_LE(a, b) CHECK_OP(a, <=, b)
#define CHECK_LT(a, b) CHECK_OP(a, <, b)
#define CHECK_GE(a, b) CHECK_OP(a, >=, b)
#define CHECK_GT(a, b) CHECK_OP(a, >, b)

#endif  // SCOVILLE_BASE_STATUS_MACROS_H_
