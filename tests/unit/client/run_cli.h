// The command in the test's own process: words in, what it printed and its exit code out.
//
// Threading: one at a time, it captures the process's output. Errors: none; the exit code says it.
#ifndef SCOVILLE_TESTS_UNIT_CLIENT_RUN_CLI_H_
#define SCOVILLE_TESTS_UNIT_CLIENT_RUN_CLI_H_

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "client/cli/command_line.h"

namespace scoville::client {

struct Said {
  int exit_code;
  std::string out;
  std::string err;
};

// `words` without the program's name.
inline Said RunWords(std::vector<std::string> words) {
  words.insert(words.begin(), "scoville");
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = RunCli(static_cast<int>(argv.size()), argv.data());
  std::fflush(stdout);
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

}  // namespace scoville::client

#endif  // SCOVILLE_TESTS_UNIT_CLIENT_RUN_CLI_H_
