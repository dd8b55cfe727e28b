// What the daemon says about itself, on stderr: text for people, one JSON object a line for
// machines.
//
// A record is a message and named values (request_id, model, device, …). Nothing a user wrote
// (prompts, texts) is ever logged.
//
// Ownership: owned by main, borrowed by whoever logs. Threading: any thread. Errors: none; what
// cannot be written is dropped.
#ifndef SCOVILLE_SERVER_LOG_LOGGER_H_
#define SCOVILLE_SERVER_LOG_LOGGER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace scoville::server {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

// "trace", "debug", "info", "warn" or "error"; anything else is kInfo.
LogLevel LogLevelFromName(absl::string_view name);

class Logger {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  Logger(LogLevel level, LogFormat format);
  ~Logger();

  void Log(LogLevel level, absl::string_view message, const Fields& fields = {});
  void Info(absl::string_view message, const Fields& fields = {}) {
    Log(LogLevel::kInfo, message, fields);
  }
  void Warn(absl::string_view message, const Fields& fields = {}) {
    Log(LogLevel::kWarn, message, fields);
  }
  void Error(absl::string_view message, const Fields& fields = {}) {
    Log(LogLevel::kError, message, fields);
  }

  LogFormat format() const { return format_; }

 private:
  class Impl;
  const LogFormat format_;
  const std::unique_ptr<Impl> impl_;
};

// One record as a JSON object without a line end.
std::string JsonRecord(absl::string_view timestamp, absl::string_view level,
                       absl::string_view message, const Logger::Fields& fields);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_LOG_LOGGER_H_
