#include "server/log/logger.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace scoville::server {

namespace {

constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::trace, spdlog::level::debug,
                                                 spdlog::level::info, spdlog::level::warn,
                                                 spdlog::level::err};
constexpr absl::string_view kNames[] = {"trace", "debug", "info", "warn", "error"};

}  // namespace

LogLevel LogLevelFromName(absl::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) {
      return static_cast<LogLevel>(i);
    }
  }
  return LogLevel::kInfo;
}

class Logger::Impl {
 public:
  Impl(LogLevel level, LogFormat format)
      : out("scovilled", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
    out.set_level(kLevels[static_cast<size_t>(level)]);
    // JSON records bring their own time and level.
    out.set_pattern(format == LogFormat::kJson ? "%v" : "%H:%M:%S.%e %^%-7l%$ %v");
    out.flush_on(spdlog::level::trace);
  }
  spdlog::logger out;
};

Logger::Logger(LogLevel level, LogFormat format)
    : format_(format), impl_(std::make_unique<Impl>(level, format)) {}
Logger::~Logger() = default;

void Logger::Log(LogLevel level, absl::string_view message, const Fields& fields) {
  const auto index = static_cast<size_t>(level);
  if (!impl_->out.should_log(kLevels[index])) {
    return;
  }
  std::string line;
  if (format_ == LogFormat::kJson) {
    line = JsonRecord(absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone()),
                      kNames[index], message, fields);
  } else {
    line = std::string(message);
    for (const auto& [name, value] : fields) {
      absl::StrAppend(&line, "  ", name, "=", value);
    }
  }
  impl_->out.log(kLevels[index], spdlog::string_view_t(line.data(), line.size()));
}

std::string JsonRecord(absl::string_view timestamp, absl::string_view level,
                       absl::string_view message, const Logger::Fields& fields) {
  nlohmann::ordered_json record;
  record["ts"] = std::string(timestamp);
  record["level"] = std::string(level);
  record["msg"] = std::string(message);
  for (const auto& [name, value] : fields) {
    record[name] = value;
  }
  return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace scoville::server
