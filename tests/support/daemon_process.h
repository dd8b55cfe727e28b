// A real scovilled for a test: on free loopback ports, ready, with its log at hand.
//
// Ownership: owns the process, its log and nothing else; destroying it kills the daemon. Threading:
// one thread. Errors: Start says what the daemon wrote when it did not get ready.
#ifndef SCOVILLE_TESTS_SUPPORT_DAEMON_PROCESS_H_
#define SCOVILLE_TESTS_SUPPORT_DAEMON_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "tests/support/child_process.h"

namespace scoville::tests {

struct HttpAnswer {
  int status = 0;  // 0: no answer
  std::string body;
};

// GET over a fresh connection to 127.0.0.1.
HttpAnswer HttpGet(int port, absl::string_view path);

// The value of a series in the text of /metrics, summed over all label sets that contain `labels`
// (text such as bucket="idle"; empty: all); NaN if there is none.
double MetricOf(absl::string_view body, absl::string_view name, absl::string_view labels = "");

// A port of 127.0.0.1 that nobody listens on right now.
int FreePort();

// A built program of the project.
std::string ProgramPath(absl::string_view name);

struct DaemonOptions {
  // functional: a tiny model, 512 tokens of context. synthetic: the built-in made-up model, 8,192.
  std::string executor = "functional";
  std::string model_path = "";  // another model
  int devices = 2;
  std::vector<std::string> more_flags = {};  // drain.lameduck is 0s unless set here
  int grpc_port = 0;                         // 0: a free one
  int http_port = 0;
  Duration ready_within = Seconds(60);
};

class DaemonProcess {
 public:
  static absl::StatusOr<std::unique_ptr<DaemonProcess>> Start(const DaemonOptions& options);
  ~DaemonProcess();

  std::string address() const;  // of gRPC
  int grpc_port() const { return grpc_port_; }
  int http_port() const { return http_port_; }
  std::string Log() const;

  void Signal(int signal) { child_.Signal(signal); }
  // As ChildProcess::Wait.
  int Wait(Duration limit) { return child_.Wait(limit); }
  bool running() { return child_.running(); }

  // MetricOf a fresh scrape.
  double Metric(absl::string_view name, absl::string_view labels = "") const;

 private:
  DaemonProcess(ChildProcess child, int grpc_port, int http_port, std::string directory)
      : child_(std::move(child)),
        grpc_port_(grpc_port),
        http_port_(http_port),
        directory_(std::move(directory)) {}

  ChildProcess child_;
  int grpc_port_;
  int http_port_;
  std::string directory_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_DAEMON_PROCESS_H_
