#include "tests/support/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {
namespace {

// After fork: only calls that are safe there; 127 is what a shell says for "not run".
[[noreturn]] void RunInChild(const std::vector<char*>& argv, const std::vector<char*>& envp,
                             int input, int output, int error) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(error, STDERR_FILENO);
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> MergedEnvironment(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    bool replaced = false;
    for (const auto& [name, value] : added) {
      replaced |= std::strncmp(*entry, (name + "=").c_str(), name.size() + 1) == 0;
    }
    if (!replaced) {
      merged.emplace_back(*entry);
    }
  }
  for (const auto& [name, value] : added) {
    merged.push_back(absl::StrCat(name, "=", value));
  }
  return merged;
}

// A file without a name that holds `text`, read from its start.
int InputFile(const std::string& text) {
  const int fd =
      open(std::filesystem::temp_directory_path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 && (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
                  lseek(fd, 0, SEEK_SET) != 0)) {
    close(fd);
    return -1;
  }
  return fd;
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const Options& options) {
  std::vector<std::string> command = options.command;
  std::vector<std::string> environment = MergedEnvironment(options.environment);
  if (access(command[0].c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("no program at ", command[0], "; build it first"));
  }
  constexpr int kOutputFlags = O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC;
  const int input = InputFile(options.input);
  const int output = open(options.output_path.c_str(), kOutputFlags, 0600);
  const int error = open(options.error_path.c_str(), kOutputFlags, 0600);
  const std::vector<char*> argv = Pointers(command);
  const std::vector<char*> envp = Pointers(environment);
  const pid_t pid = input < 0 || output < 0 || error < 0 ? -1 : fork();
  if (pid == 0) {
    RunInChild(argv, envp, input, output, error);
  }
  const int reason = errno;
  for (const int fd : {input, output, error}) {
    if (fd >= 0) {
      close(fd);
    }
  }
  if (pid < 0) {
    return absl::InternalError(
        absl::StrCat("cannot run ", command[0], ": ", std::generic_category().message(reason)));
  }
  return ChildProcess(pid);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(other.pid_), exit_code_(other.exit_code_) {
  other.pid_ = -1;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void ChildProcess::Signal(int signal) {
  if (pid_ > 0) {
    kill(pid_, signal);
  }
}

int ChildProcess::Wait(Duration limit) {
  const absl::Time end = absl::Now() + absl::Nanoseconds(limit.value());
  while (pid_ > 0) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      pid_ = -1;
    } else if (absl::Now() >= end) {
      return -1;
    } else {
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  return exit_code_;
}

ProgramResult RunProgram(const std::vector<std::string>& command, absl::string_view input,
                         std::vector<std::pair<std::string, std::string>> environment,
                         Duration limit) {
  const std::string directory = MakeTempDir();
  ChildProcess::Options options;
  options.command = command;
  options.environment = std::move(environment);
  options.input = std::string(input);
  options.output_path = directory + "/out";
  options.error_path = directory + "/err";
  ProgramResult result;
  auto child = ChildProcess::Start(options);
  if (!child.ok()) {
    result.err = std::string(child.status().message());
    return result;
  }
  result.exit_code = child->Wait(limit);
  result.out = ReadWholeFile(options.output_path);
  result.err = ReadWholeFile(options.error_path);
  std::filesystem::remove_all(directory);
  return result;
}

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace scoville::tests
