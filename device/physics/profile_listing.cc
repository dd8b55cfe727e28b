#include "device/physics/profile_listing.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "device/physics/profile_schema.h"

namespace scoville::device {

namespace {

std::string Digits(double value) { return absl::StrFormat("%.6g", value); }

// The unit in which the value takes the fewest characters, at least one and below a thousand if
// any is; the first of equals.
void ChooseUnit(internal::Dimension dimension, ProfileRow* row) {
  bool chosen = false;
  bool chosen_handy = false;
  size_t length = 0;
  for (const internal::ProfileUnit& unit : internal::ProfileUnits()) {
    if (unit.dimension != dimension) {
      continue;
    }
    const double value = std::abs(row->number.value / unit.scale);
    const bool handy = value == 0 || (value >= 1 && value < 1'000);
    const size_t size = Digits(value).size();
    if (!chosen || (handy && !chosen_handy) || (handy == chosen_handy && size < length)) {
      chosen = true;
      chosen_handy = handy;
      length = size;
      row->unit = unit.name;
      row->scale = unit.scale;
    }
  }
}

}  // namespace

std::vector<ProfileRow> ListProfile(const Profile& profile) {
  Profile copy = profile;  // the schema points into one it may change
  std::vector<ProfileRow> rows;
  for (const internal::Field& field : internal::Fields(&copy)) {
    ProfileRow row;
    row.key = field.key;
    row.number = *field.number;
    row.given = !row.number.source.empty() || !row.number.reason.empty();
    ChooseUnit(field.dimension, &row);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string ValueText(const ProfileRow& row, double si) { return Digits(si / row.scale); }

}  // namespace scoville::device
