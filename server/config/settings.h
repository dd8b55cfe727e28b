// The table of all configuration keys: one row gives a key its type, limits and help, and serves
// the file, the environment, the flags, `config print` and `config schema` alike.
//
// Ownership: rows borrow the ServerConfig they were bound to. Threading: one thread. Errors:
// InvalidArgument that names the value, what is allowed and the nearest name; the caller says where
// the value came from.
#ifndef SCOVILLE_SERVER_CONFIG_SETTINGS_H_
#define SCOVILLE_SERVER_CONFIG_SETTINGS_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "base/yaml_reader.h"
#include "server/config/config.h"

namespace scoville::server {

class Setting {
 public:
  // A list is written in YAML's way in a file, and with commas in a flag or a variable.
  using Target = std::variant<std::string*, bool*, int64_t*, double*, Duration*, Power*, Bytes*,
                              std::vector<std::string>*>;

  Setting(std::string path, Target target, std::string help)
      : path_(std::move(path)), target_(target), help_(std::move(help)) {}
  Setting& Allow(std::vector<std::string> choices) {
    choices_ = std::move(choices);
    return *this;
  }
  // Of an integer, or in the base unit of a quantity (ns, mW, B).
  Setting& Range(int64_t low, int64_t high) {
    range_ = {low, high};
    return *this;
  }

  Setting& RealRange(double low, double high) {
    real_range_ = {low, high};
    return *this;
  }

  const std::string& path() const { return path_; }  // "pool.devices"
  const std::string& help() const { return help_; }
  std::string section() const;      // "pool"; empty at the root
  std::string key() const;          // "devices"
  std::string environment() const;  // "SCOVILLE_POOL_DEVICES"
  std::string type_text() const;    // "integer from 1 to 1024", "power (250W)"
  std::string value_text() const;   // as a file would write it

  // From a flag or the environment.
  absl::Status SetFromText(absl::string_view text) const;
  // From the file; true if the key was there.
  absl::StatusOr<bool> SetFromYaml(const YamlMap& map) const;

 private:
  absl::Status CheckLimits() const;

  std::string path_;
  Target target_;
  std::string help_;
  std::vector<std::string> choices_;  // of a text, or of a list's; empty: any
  YamlIntRange range_{0, std::numeric_limits<int64_t>::max()};
  YamlDoubleRange real_range_{};
};

// Rows in the order they are printed; keys of one section stand together.
std::vector<Setting> BindSettings(ServerConfig* config);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONFIG_SETTINGS_H_
