// Where tests find the default model's file.
//
// Errors: none; a test whose model is missing must fail, unless SCOVILLE_ALLOW_MISSING_MODEL=1 asks
// to skip: use SCOVILLE_REQUIRE_MODEL(path) as the test's first line.
#ifndef SCOVILLE_TESTS_SUPPORT_MODEL_PATH_H_
#define SCOVILLE_TESTS_SUPPORT_MODEL_PATH_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace scoville::tests {

// SCOVILLE_TEST_MODEL, else the place where `./dev` keeps it.
inline std::string ModelPath() {
  if (const char* path = std::getenv("SCOVILLE_TEST_MODEL"); path != nullptr && *path != '\0') {
    return path;
  }
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base = cache != nullptr && *cache != '\0'
                               ? std::string(cache)
                               : std::string(home == nullptr ? "" : home) + "/.cache";
  return base + "/scoville/SmolLM2-135M-Instruct.Q4_1.gguf";
}

inline bool MissingModelIsAllowed() {
  const char* allow = std::getenv("SCOVILLE_ALLOW_MISSING_MODEL");
  return allow != nullptr && std::string(allow) == "1";
}

}  // namespace scoville::tests

#define SCOVILLE_REQUIRE_MODEL(path)                                                 \
  do {                                                                               \
    if (!std::filesystem::exists(path)) {                                            \
      if (::scoville::tests::MissingModelIsAllowed()) {                              \
        GTEST_SKIP() << "no model at " << (path);                                    \
      }                                                                              \
      FAIL() << "no model at " << (path)                                             \
             << ": fetch it, or set SCOVILLE_TEST_MODEL, or allow its absence with " \
                "SCOVILLE_ALLOW_MISSING_MODEL=1";                                    \
    }                                                                                \
  } while (false)

#endif  // SCOVILLE_TESTS_SUPPORT_MODEL_PATH_H_
