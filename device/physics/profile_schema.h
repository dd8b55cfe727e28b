// The profile schema: every field with its dimension and bounds, and what is made and checked once
// all of them are read. Shared by the reader of files and by changed copies of profiles.
//
// Units: SI. Ownership: fields point into the profile they were made for. Threading: pure.
// Errors: InvalidArgument from CheckTogether, worded by the caller's `fail`.
#ifndef SCOVILLE_DEVICE_PHYSICS_PROFILE_SCHEMA_H_
#define SCOVILLE_DEVICE_PHYSICS_PROFILE_SCHEMA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "device/physics/profile.h"

namespace scoville::device::internal {

enum class Dimension : uint8_t {
  kNone,
  kRate,
  kBytes,
  kBandwidth,
  kFrequency,
  kTime,
  kVoltage,
  kVoltageSlope,
  kPower,
  kPerKelvin,
  kTemperature,
  kThermalResistance,
  kEnergyPerFlop,
  kEnergyPerBit
};

struct ProfileUnit {
  Dimension dimension;
  const char* name;
  double scale;  // to SI
};

// Of one dimension from large to small.
absl::Span<const ProfileUnit> ProfileUnits();

struct Field {
  std::string key;  // of a group: "operators.GROUP.NAME"
  ProfileNumber* number;
  Dimension dimension;
  double low;  // allowed whatever the file's own range says, SI
  double high;
  bool whole = false;
  // A field that may be left out takes the number that another field has (`like`), or is exactly
  // `absent`: no such effect.
  const ProfileNumber* like = nullptr;
  std::optional<double> absent = std::nullopt;
};

// In the order of the content hash; those of operator groups last, and only of groups given.
std::vector<Field> Fields(Profile* profile);

// One group of operator constants; a file gives all of it or leaves it out.
struct OperatorGroup {
  std::string key;  // in `operators`
  bool* given;
  std::vector<Field> fields;
};

std::vector<OperatorGroup> OperatorGroups(Profile* profile);

using Failure = absl::FunctionRef<absl::Status(absl::string_view key, absl::string_view what)>;

// What holds between fields.
absl::Status CheckTogether(const Failure& fail, const Profile& profile);

// The clock states, from the clocks and voltages.
void MakePStates(Profile* profile);

// Weakest status and content hash, from everything else.
void Seal(const std::vector<Field>& fields, Profile* profile);

}  // namespace scoville::device::internal

#endif  // SCOVILLE_DEVICE_PHYSICS_PROFILE_SCHEMA_H_
