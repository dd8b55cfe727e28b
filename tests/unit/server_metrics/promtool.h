// Runs `promtool check metrics` on a text. A missing promtool is a failed check: its judgement is
// what the test is for.
#ifndef SCOVILLE_TESTS_UNIT_SERVER_METRICS_PROMTOOL_H_
#define SCOVILLE_TESTS_UNIT_SERVER_METRICS_PROMTOOL_H_

#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace scoville::tests {

inline ::testing::AssertionResult PromtoolAccepts(const std::string& text) {
  std::string pattern = ::testing::TempDir() + "scoville-metrics-XXXXXX";
  const int fd = mkstemp(pattern.data());
  if (fd < 0) {
    return ::testing::AssertionFailure() << "no temporary file";
  }
  close(fd);
  std::ofstream(pattern) << text;
  FILE* pipe = popen(("promtool check metrics < '" + pattern + "' 2>&1").c_str(), "r");
  std::string output;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    output.append(buffer, n);
  }
  const int status = pclose(pipe);
  unlink(pattern.c_str());
  if (status != 0 || !output.empty()) {
    return ::testing::AssertionFailure()
           << "promtool (Debian package prometheus) ended with " << status << ":\n"
           << output;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_UNIT_SERVER_METRICS_PROMTOOL_H_
