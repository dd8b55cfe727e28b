// A profile as rows for people: each number in a unit that reads well, with where it comes from.
//
// Units: as the row says; value x scale is SI. Ownership: rows are copies. Threading: pure.
// Errors: none.
#ifndef SCOVILLE_DEVICE_PHYSICS_PROFILE_LISTING_H_
#define SCOVILLE_DEVICE_PHYSICS_PROFILE_LISTING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "device/physics/profile.h"

namespace scoville::device {

struct ProfileRow {
  std::string key;       // as in the file
  ProfileNumber number;  // SI
  std::string unit;      // empty: a plain number
  double scale = 1;      // SI value of one unit
  // False: the file leaves the number out, as the chip lacks the thing or the model the effect.
  bool given = true;
};

// In the order of the schema; the two choices of rates (rate_w4a8, rate_w4a16) are no numbers and
// not among them.
std::vector<ProfileRow> ListProfile(const Profile& profile);

// The row's value or an end of its range in its unit, six digits at most: "13.5", "inf".
std::string ValueText(const ProfileRow& row, double si);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_PROFILE_LISTING_H_
