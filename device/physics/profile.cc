#include "device/physics/profile.h"

#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "device/physics/builtin_profiles.h"

namespace scoville::device {

namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr absl::string_view kDefaultName = "jalapeno-gen1";

}  // namespace

absl::string_view NumberStatusName(NumberStatus status) {
  constexpr absl::string_view kNames[] = {"published", "measured", "derived", "assumed"};
  return kNames[static_cast<int>(status)];
}

absl::string_view MathTypeName(MathType type) {
  constexpr absl::string_view kNames[] = {"fp4", "fp8", "bf16"};
  return kNames[static_cast<int>(type)];
}

absl::StatusOr<Profile> LoadProfile(absl::string_view path) {
  std::ifstream file{std::string(path), std::ios::binary};
  if (!file) {
    return absl::NotFoundError(absl::StrCat(path, ": the profile cannot be opened"));
  }
  // One byte more than allowed, so that the parser sees a file that is too large.
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return absl::NotFoundError(absl::StrCat(path, ": the profile cannot be read; is it a file?"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return ParseProfile(text, path);
}

std::vector<std::string> BuiltinProfileNames() {
  std::vector<std::string> names;
  for (const internal::BuiltinProfileText& builtin : internal::BuiltinProfileTexts()) {
    names.push_back(builtin.name);
  }
  return names;
}

absl::StatusOr<Profile> BuiltinProfile(absl::string_view name) {
  for (const internal::BuiltinProfileText& builtin : internal::BuiltinProfileTexts()) {
    if (name == builtin.name) {
      return ParseProfile(builtin.yaml, absl::StrCat("built-in ", name, ".yaml"));
    }
  }
  const std::vector<std::string> names = BuiltinProfileNames();
  return absl::NotFoundError(absl::StrCat("no built-in profile '", name, "', there are ",
                                          absl::StrJoin(names, ", "), DidYouMean(name, names),
                                          "; a file is named by a path with '/' or .yaml"));
}

Profile DefaultProfile() {
  absl::StatusOr<Profile> profile = BuiltinProfile(kDefaultName);
  CHECK(profile.ok());
  return std::move(profile).value();
}

absl::StatusOr<Profile> FindProfile(absl::string_view name_or_path) {
  const bool is_path = absl::StrContains(name_or_path, "/") ||
                       absl::EndsWith(name_or_path, ".yaml") ||
                       absl::EndsWith(name_or_path, ".yml");
  return is_path ? LoadProfile(name_or_path) : BuiltinProfile(name_or_path);
}

}  // namespace scoville::device
