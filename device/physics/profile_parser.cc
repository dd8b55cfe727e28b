// Reads profiles from YAML.
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/yaml_reader.h"
#include "device/physics/profile.h"
#include "device/physics/profile_schema.h"

namespace scoville::device {

namespace {

using internal::Dimension;
using internal::Field;
using internal::ProfileUnit;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

absl::Status ReadStatus(const YamlMap& map, NumberStatus* status) {
  const std::string names[] = {"published", "measured", "derived", "assumed"};
  size_t index = 0;
  RETURN_IF_ERROR(map.RequireChoice("status", names, &index));
  *status = static_cast<NumberStatus>(index);
  return absl::OkStatus();
}

// Reads status, source and reason and refuses what does not say where it comes from.
absl::Status ReadOrigin(const YamlMap& map, bool has_range, NumberStatus* status,
                        std::string* source, std::string* reason) {
  RETURN_IF_ERROR(ReadStatus(map, status));
  RETURN_IF_ERROR(map.Read("source", source));
  RETURN_IF_ERROR(map.Read("reason", reason));
  if (*status == NumberStatus::kPublished || *status == NumberStatus::kMeasured) {
    if (source->empty()) {
      return map.Error("status",
                       absl::StrCat("status ", NumberStatusName(*status), " needs a 'source'"));
    }
    return absl::OkStatus();
  }
  if (!has_range) {
    return map.Error("status",
                     absl::StrCat("status ", NumberStatusName(*status), " needs a 'range'"));
  }
  if (reason->empty() && source->empty()) {
    return map.Error("status", absl::StrCat("status ", NumberStatusName(*status),
                                            " needs a 'reason' or a 'source'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<double> ReadScale(const YamlMap& map, Dimension dimension) {
  if (dimension == Dimension::kNone) {
    if (map.Has("unit")) {
      return map.Error("unit", "this number has no unit; remove the key");
    }
    return 1.0;
  }
  std::string unit;
  RETURN_IF_ERROR(map.Require("unit", &unit));
  std::vector<std::string> allowed;
  for (const ProfileUnit& u : internal::ProfileUnits()) {
    if (u.dimension != dimension) {
      continue;
    }
    if (unit == u.name) {
      return u.scale;
    }
    allowed.push_back(u.name);
  }
  return map.Error("unit", absl::StrCat("'", unit, "' is no unit of this quantity, allowed ",
                                        absl::StrJoin(allowed, ", ")));
}

absl::Status ReadRange(const YamlMap& map, double scale, ProfileNumber* number) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> ends, map.List("range"));
  if (ends.size() != 2) {
    return map.Error("range", "expected [lowest, highest]");
  }
  const YamlDoubleRange any{-kInfinity, kInfinity};
  ASSIGN_OR_RETURN(const double low, ends[0].AsDouble(any));
  ASSIGN_OR_RETURN(const double high, ends[1].AsDouble(any));
  if (low > high) {
    return map.Error("range", "the lowest value stands above the highest");
  }
  number->low = low * scale;
  number->high = high * scale;
  return absl::OkStatus();
}

absl::Status ReadNumber(const YamlMap& parent, absl::string_view key, const Field& field) {
  if (!parent.Has(key)) {
    if (field.like != nullptr) {
      *field.number = *field.like;
      return absl::OkStatus();
    }
    if (field.absent) {
      // What the chip lacks, or the model of it leaves out, weakens no figure.
      field.number->value = *field.absent;
      field.number->status = NumberStatus::kPublished;
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(const YamlNode node, parent.Node(key));
  if (node.is_null()) {
    return node.Error("null; an unknown number is an assumption with a range and a reason");
  }
  ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
  ASSIGN_OR_RETURN(const double scale, ReadScale(map, field.dimension));
  double value = 0;
  RETURN_IF_ERROR(map.Require("value", &value, YamlDoubleRange{-1e300, kInfinity}));
  ProfileNumber* number = field.number;
  number->value = value * scale;
  if (number->value < field.low || number->value > field.high) {
    return map.Error("value", absl::StrCat(value, " makes no sense here, allowed ",
                                           field.low / scale, " to ", field.high / scale));
  }
  if (field.whole && std::floor(number->value) != number->value) {
    return map.Error("value", absl::StrCat("expected a whole number, found ", value));
  }
  const bool has_range = map.Has("range");
  if (has_range) {
    RETURN_IF_ERROR(ReadRange(map, scale, number));
    if (number->value < *number->low || number->value > *number->high) {
      return map.Error("value", absl::StrCat(value, " lies outside its own range"));
    }
  }
  return ReadOrigin(map, has_range, &number->status, &number->source, &number->reason);
}

absl::Status ReadMath(const YamlMap& root, absl::string_view key, ProfileMath* math) {
  const std::string names[] = {"fp4", "fp8", "bf16"};
  ASSIGN_OR_RETURN(const YamlMap map, root.Map(key));
  size_t value = 0;
  RETURN_IF_ERROR(map.RequireChoice("value", names, &value));
  math->value = static_cast<MathType>(value);
  const bool has_range = map.Has("range");
  if (has_range) {
    ASSIGN_OR_RETURN(const std::vector<YamlNode> choices, map.List("range"));
    bool inside = false;
    for (const YamlNode& choice : choices) {
      ASSIGN_OR_RETURN(const size_t index, choice.AsChoice(names));
      inside = inside || index == value;
    }
    if (!inside) {
      return map.Error("value", absl::StrCat(names[value], " is not among its own range"));
    }
  }
  return ReadOrigin(map, has_range, &math->status, &math->source, &math->reason);
}

// The groups of operator constants: a group is there with all its numbers or not at all.
absl::Status ReadOperators(const YamlMap& root, Profile* profile) {
  ASSIGN_OR_RETURN(const YamlMap operators, root.MapOrEmpty("operators"));
  std::vector<internal::OperatorGroup> groups = internal::OperatorGroups(profile);
  for (const internal::OperatorGroup& group : groups) {
    *group.given = operators.Has(group.key);
  }
  RETURN_IF_ERROR(operators.FinishKeys());
  for (const internal::OperatorGroup& group : groups) {
    if (!*group.given) {
      continue;
    }
    ASSIGN_OR_RETURN(const YamlMap map, operators.Map(group.key));
    const auto name = [](const Field& field) {
      return absl::string_view(field.key).substr(field.key.rfind('.') + 1);
    };
    for (const Field& field : group.fields) {
      map.Has(name(field));
    }
    RETURN_IF_ERROR(map.FinishKeys());
    for (const Field& field : group.fields) {
      RETURN_IF_ERROR(ReadNumber(map, name(field), field));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadName(const YamlMap& root, Profile* p) {
  RETURN_IF_ERROR(root.Require("profile", &p->name));
  if (p->name.empty() || p->name.size() > 64 ||
      p->name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
    return root.Error("profile", "a name has 1 to 64 lower-case letters, digits and dashes");
  }
  RETURN_IF_ERROR(root.Require("description", &p->description));
  return root.Read("what_if", &p->what_if);
}

}  // namespace

absl::StatusOr<Profile> ParseProfile(absl::string_view text, absl::string_view file) {
  ASSIGN_OR_RETURN(const YamlDocument doc, YamlDocument::Parse(text, file));
  ASSIGN_OR_RETURN(const YamlMap root, doc.Root());
  Profile profile;
  RETURN_IF_ERROR(ReadName(root, &profile));
  const std::vector<Field> fields = internal::Fields(&profile);  // without operators yet
  for (const Field& field : fields) {
    root.Has(field.key);  // so that a mistyped one is told the right spelling
  }
  root.Has("operators");
  root.Has("rate_w4a8");
  root.Has("rate_w4a16");
  RETURN_IF_ERROR(root.FinishKeys());
  for (const Field& field : fields) {
    RETURN_IF_ERROR(ReadNumber(root, field.key, field));
  }
  RETURN_IF_ERROR(ReadMath(root, "rate_w4a8", &profile.w4a8));
  RETURN_IF_ERROR(ReadMath(root, "rate_w4a16", &profile.w4a16));
  RETURN_IF_ERROR(ReadOperators(root, &profile));
  RETURN_IF_ERROR(doc.Finish());
  internal::MakePStates(&profile);
  RETURN_IF_ERROR(internal::CheckTogether(
      [&](absl::string_view key, absl::string_view what) { return root.Error(key, what); },
      profile));
  internal::Seal(internal::Fields(&profile), &profile);
  return profile;
}

}  // namespace scoville::device
