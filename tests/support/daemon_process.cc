#include "tests/support/daemon_process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

std::string Exchange(int port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  const timeval limit = {.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char buffer[16384];
    ssize_t got = 0;
    while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
      answer.append(buffer, got);
    }
  }
  close(fd);
  return answer;
}

// Chunked bodies are put together; others are as they came.
std::string Unchunk(absl::string_view body) {
  std::string whole;
  while (!body.empty()) {
    const size_t line = body.find("\r\n");
    uint64_t size = 0;
    if (line == absl::string_view::npos || !absl::SimpleHexAtoi(body.substr(0, line), &size) ||
        size == 0 || body.size() < line + 2 + size) {
      break;
    }
    absl::StrAppend(&whole, body.substr(line + 2, size));
    body.remove_prefix(std::min(body.size(), line + 2 + static_cast<size_t>(size) + 2));
  }
  return whole;
}

}  // namespace

HttpAnswer HttpGet(int port, absl::string_view path) {
  const std::string answer = Exchange(
      port,
      absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"));
  HttpAnswer parsed;
  const size_t head = answer.find("\r\n\r\n");
  if (head == std::string::npos || answer.size() < 12 ||
      !absl::SimpleAtoi(absl::string_view(answer).substr(9, 3), &parsed.status)) {
    return parsed;
  }
  const absl::string_view body = absl::string_view(answer).substr(head + 4);
  parsed.body =
      absl::StrContains(absl::AsciiStrToLower(answer.substr(0, head)), "transfer-encoding: chunked")
          ? Unchunk(body)
          : std::string(body);
  return parsed;
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

std::string ProgramPath(absl::string_view name) {
  return absl::StrCat(SCOVILLE_PROGRAM_DIR, "/", name);
}

absl::StatusOr<std::unique_ptr<DaemonProcess>> DaemonProcess::Start(const DaemonOptions& options) {
  const std::string directory = MakeTempDir();
  const int grpc_port = options.grpc_port != 0 ? options.grpc_port : FreePort();
  const int http_port = options.http_port != 0 ? options.http_port : FreePort();
  ChildProcess::Options run;
  run.command = {ProgramPath("scovilled"),
                 "--executor=" + options.executor,
                 absl::StrCat("--devices=", options.devices),
                 absl::StrCat("--grpc-listen=127.0.0.1:", grpc_port),
                 absl::StrCat("--http-listen=127.0.0.1:", http_port),
                 "--set=drain.lameduck=0s"};
  if (!options.model_path.empty()) {
    run.command.push_back("--model=" + options.model_path);
  } else if (options.executor == "functional") {
    run.command.push_back("--model=" + WriteTinyModel(directory, 1));
  }
  run.command.insert(run.command.end(), options.more_flags.begin(), options.more_flags.end());
  // The default model that this machine may have must make no difference.
  run.environment = {{"XDG_CACHE_HOME", directory}};
  run.output_path = run.error_path = directory + "/log";
  ASSIGN_OR_RETURN(ChildProcess child, ChildProcess::Start(run));
  std::unique_ptr<DaemonProcess> daemon(
      new DaemonProcess(std::move(child), grpc_port, http_port, directory));
  const absl::Time end = absl::Now() + absl::Nanoseconds(options.ready_within.value());
  while (HttpGet(http_port, "/readyz").status != 200) {
    if (!daemon->running()) {
      return absl::InternalError(
          absl::StrCat("the daemon ended with ", daemon->Wait(Duration()), ":\n", daemon->Log()));
    }
    if (absl::Now() > end) {
      return absl::DeadlineExceededError(
          absl::StrCat("the daemon did not get ready:\n", daemon->Log()));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return daemon;
}

DaemonProcess::~DaemonProcess() {
  child_.Signal(9);
  child_.Wait(Seconds(10));
  std::filesystem::remove_all(directory_);
}

std::string DaemonProcess::address() const { return absl::StrCat("127.0.0.1:", grpc_port_); }

std::string DaemonProcess::Log() const { return ReadWholeFile(directory_ + "/log"); }

double DaemonProcess::Metric(absl::string_view name, absl::string_view labels) const {
  return MetricOf(HttpGet(http_port_, "/metrics").body, name, labels);
}

double MetricOf(absl::string_view body, absl::string_view name, absl::string_view labels) {
  double sum = std::numeric_limits<double>::quiet_NaN();
  for (absl::string_view line : absl::StrSplit(body, '\n')) {
    const size_t blank = line.rfind(' ');
    const absl::string_view series = line.substr(0, blank);
    double value = 0;
    if (blank == absl::string_view::npos || series.substr(0, series.find('{')) != name ||
        !absl::StrContains(series, labels) || !absl::SimpleAtod(line.substr(blank + 1), &value)) {
      continue;
    }
    sum = std::isnan(sum) ? value : sum + value;
  }
  return sum;
}

}  // namespace scoville::tests
