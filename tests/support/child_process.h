// Runs a program for a test: in one go, or in the background until the test is done with it.
//
// Ownership: a ChildProcess owns its process and kills it when destroyed; if the test program dies
// first the kernel does. Threading: one thread. Errors: Start says why the program could not run.
#ifndef SCOVILLE_TESTS_SUPPORT_CHILD_PROCESS_H_
#define SCOVILLE_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"

namespace scoville::tests {

class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> command;                              // the program's path first
    std::vector<std::pair<std::string, std::string>> environment;  // added to the test's own
    std::string input;        // the whole of its standard input
    std::string output_path;  // files that stdout and stderr go to
    std::string error_path;   // may equal output_path
  };

  static absl::StatusOr<ChildProcess> Start(const Options& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) = delete;
  ~ChildProcess();

  void Signal(int signal);
  // The exit code (128 + signal if one ended it), or -1 if it still runs after `limit`.
  int Wait(Duration limit);
  bool running() { return Wait(Duration()) == -1; }

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
  int exit_code_ = -1;
};

struct ProgramResult {
  int exit_code = -1;  // -1: did not end within the limit, was killed
  std::string out;
  std::string err;
};

// Runs `command` to its end.
ProgramResult RunProgram(const std::vector<std::string>& command, absl::string_view input = "",
                         std::vector<std::pair<std::string, std::string>> environment = {},
                         Duration limit = Seconds(30));

std::string ReadWholeFile(const std::string& path);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_CHILD_PROCESS_H_
