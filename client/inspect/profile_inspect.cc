// `profile show|diff|check`.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/inspect/inspect.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/terminal/text_width.h"
#include "device/physics/profile.h"
#include "device/physics/profile_listing.h"

namespace scoville::client {
namespace {

using device::ListProfile;
using device::MathType;
using device::NumberStatus;
using device::Profile;
using device::ProfileMath;
using device::ProfileNumber;
using device::ProfileRow;
using device::PState;
using nlohmann::ordered_json;

constexpr char kWhatIf[] = "A what-if, not a forecast.\n";

Inspection Failed(int exit_code, absl::string_view message) {
  return {exit_code, "", absl::StrCat(Printable(message), "\n")};
}

std::string JsonOf(const ordered_json& json) {
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Style StyleOf(NumberStatus status) {
  switch (status) {
    case NumberStatus::kPublished:
    case NumberStatus::kMeasured:
      return Style::kGreen;
    case NumberStatus::kDerived:
      return Style::kPlain;
    case NumberStatus::kAssumed:
      return Style::kYellow;
  }
  return Style::kPlain;
}

std::string StatusText(NumberStatus status) {
  return std::string(device::NumberStatusName(status));
}

std::string RangeText(const ProfileRow& row) {
  const ProfileNumber& n = row.number;
  return n.low && n.high ? absl::StrCat(ValueText(row, *n.low), " to ", ValueText(row, *n.high))
                         : "";
}

std::string OriginText(const std::string& source, const std::string& reason) {
  return Printable(reason.empty()   ? source
                   : source.empty() ? reason
                                    : absl::StrCat(reason, " (", source, ")"));
}

// What no file says and every figure starts from.
struct Derived {
  std::string name;
  double value = 0;
  std::string unit;
  std::string how;
};

std::vector<Derived> DeriveFrom(const Profile& p) {
  std::vector<Derived> out;
  for (int i = 0; i < device::kMathTypes; ++i) {
    const auto type = static_cast<MathType>(i);
    if (p.peak[i].value == 0) {
      continue;
    }
    const std::string name(device::MathTypeName(type));
    out.push_back({absl::StrCat("ridge point, ", name), p.Peak(type) / p.hbm_bandwidth.value,
                   "FLOP/byte", absl::StrCat("peak_", name, " / hbm_bandwidth")});
    out.push_back(
        {absl::StrCat("ridge point as reached, ", name),
         p.Peak(type) * p.Efficiency(type) / (p.hbm_bandwidth.value * p.bandwidth_efficiency.value),
         "FLOP/byte", "both times their efficiencies"});
  }
  const double leakage = p.leakage_power.value;
  const double warm = p.retention_power.value + leakage * p.pstates.front().leakage_ratio;
  const double floor = p.retention_power.value + leakage + p.activity_power.value;
  const double traffic =
      8 * p.hbm_energy_per_bit.value * p.hbm_bandwidth.value * p.bandwidth_efficiency.value;
  const double arithmetic =
      p.EnergyPerFlop(MathType::kBf16) * p.Peak(MathType::kBf16) * p.Efficiency(MathType::kBf16);
  out.push_back({"warm idle", warm, "W", "retention + leakage at the lowest voltage, 60 C"});
  out.push_back(
      {"busy floor", floor, "W", "retention + leakage + activity at the top clock, 60 C"});
  out.push_back({"memory-bound step", floor + traffic, "W", "floor + memory at its efficiency"});
  out.push_back({"bf16 products", floor + arithmetic, "W",
                 "floor + products at their efficiency, before any cap"});
  out.push_back({"junction at TDP",
                 p.inlet_temperature.value +
                     p.tdp.value * (p.junction_resistance.value + p.sink_resistance.value),
                 "C", "inlet + TDP x both resistances, at rest"});
  return out;
}

double FloorWatts(const Profile& p, const PState& s) {
  return p.retention_power.value + p.leakage_power.value * s.leakage_ratio +
         p.activity_power.value * s.activity_ratio;
}

ordered_json RangeJson(const ProfileNumber& n) {
  return n.low && n.high ? ordered_json::array({*n.low, *n.high}) : ordered_json();
}

// Infinity is no JSON number.
ordered_json NumberJson(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json("inf");
}

ordered_json ProfileJson(const Profile& p) {
  ordered_json numbers = ordered_json::object();
  for (const ProfileRow& row : ListProfile(p)) {
    if (!row.given) {
      numbers[row.key] = nullptr;
      continue;
    }
    ordered_json range = RangeJson(row.number);
    for (ordered_json& end : range) {
      end = NumberJson(end.get<double>() / row.scale);
    }
    numbers[row.key] = {{"value", NumberJson(row.number.value / row.scale)},
                        {"unit", row.unit},
                        {"si", NumberJson(row.number.value)},
                        {"status", StatusText(row.number.status)},
                        {"range", range},
                        {"source", row.number.source},
                        {"reason", row.number.reason}};
  }
  ordered_json derived = ordered_json::array();
  for (const Derived& d : DeriveFrom(p)) {
    derived.push_back({{"name", d.name}, {"value", d.value}, {"unit", d.unit}, {"how", d.how}});
  }
  ordered_json states = ordered_json::array();
  for (const PState& s : p.pstates) {
    states.push_back({{"hertz", s.hertz}, {"volts", s.volts}, {"floor_watts", FloorWatts(p, s)}});
  }
  return {{"profile", p.name},
          {"description", p.description},
          {"what_if", p.what_if},
          {"content_hash", p.content_hash.ToString()},
          {"weakest", StatusText(p.weakest)},
          {"rate_w4a8", std::string(device::MathTypeName(p.w4a8.value))},
          {"rate_w4a16", std::string(device::MathTypeName(p.w4a16.value))},
          {"numbers", numbers},
          {"derived", derived},
          {"clock_states", states}};
}

void AddMath(const char* key, const ProfileMath& math, Table* table) {
  table->AddRow({{key},
                 {std::string(device::MathTypeName(math.value))},
                 {""},
                 {StatusText(math.status), StyleOf(math.status)},
                 {""},
                 {OriginText(math.source, math.reason), Style::kDim}});
}

std::string ShowText(const Profile& p, const Terminal& terminal) {
  Table numbers({{.heading = "Number"},
                 {.heading = "Value", .right = true},
                 {.heading = "Unit"},
                 {.heading = "Status"},
                 {.heading = "Range"},
                 {.heading = "Why, and where from", .flexible = true}});
  numbers.SetTitle({p.name, p.description, absl::StrCat("weakest number: ", StatusText(p.weakest)),
                    absl::StrCat("hash ", p.content_hash.ToString().substr(0, 12))});
  for (const ProfileRow& row : ListProfile(p)) {
    if (!row.given) {
      numbers.AddRow({{row.key, Style::kDim}, {"-"}, {""}, {""}, {""}, {"left out", Style::kDim}});
    } else {
      numbers.AddRow({{row.key},
                      {ValueText(row, row.number.value)},
                      {row.unit},
                      {StatusText(row.number.status), StyleOf(row.number.status)},
                      {RangeText(row)},
                      {OriginText(row.number.source, row.number.reason), Style::kDim}});
    }
    if (row.key == "peak_bf16") {
      AddMath("rate_w4a8", p.w4a8, &numbers);
      AddMath("rate_w4a16", p.w4a16, &numbers);
    }
  }
  Table derived({{.heading = "What follows"},
                 {.heading = "Value", .right = true},
                 {.heading = "Unit"},
                 {.heading = "How", .flexible = true}});
  for (const Derived& d : DeriveFrom(p)) {
    derived.AddRow({{d.name}, {absl::StrFormat("%.4g", d.value)}, {d.unit}, {d.how, Style::kDim}});
  }
  Table states({{.heading = "State", .right = true},
                {.heading = "Clock", .right = true},
                {.heading = "Voltage", .right = true},
                {.heading = "Busy floor", .right = true},
                {.heading = "Energy of a FLOP", .right = true}});
  for (size_t i = 0; i < p.pstates.size(); ++i) {
    const PState& s = p.pstates[i];
    states.AddRow({{absl::StrCat(i)},
                   {absl::StrFormat("%.3f GHz", s.hertz / 1e9)},
                   {absl::StrFormat("%.3f V", s.volts)},
                   {WattsText(FloorWatts(p, s))},
                   {absl::StrFormat("%.0f %%", 100 * s.switching_ratio)}});
  }
  return absl::StrCat(p.what_if ? kWhatIf : "", numbers.Render(terminal), derived.Render(terminal),
                      states.Render(terminal));
}

std::string ListText(const Terminal& terminal) {
  Table table({{.heading = "Profile"},
               {.heading = "Memory", .right = true},
               {.heading = "TB/s", .right = true},
               {.heading = "TDP", .right = true},
               {.heading = "Description", .flexible = true}});
  for (const std::string& name : device::BuiltinProfileNames()) {
    const absl::StatusOr<Profile> p = device::BuiltinProfile(name);
    if (p.ok()) {
      table.AddRow({{name},
                    {absl::StrFormat("%.0f GB", p->hbm_capacity.value / 1e9)},
                    {absl::StrFormat("%.2f", p->hbm_bandwidth.value / 1e12)},
                    {WattsText(p->tdp.value)},
                    {p->description, Style::kDim}});
    }
  }
  return table.Render(terminal);
}

Inspection Show(const std::vector<std::string>& names, const Terminal& terminal, bool json) {
  if (names.empty()) {
    return {0, json ? JsonOf(ordered_json(device::BuiltinProfileNames())) : ListText(terminal), ""};
  }
  Inspection out;
  ordered_json all = ordered_json::array();
  for (const std::string& name : names) {
    const absl::StatusOr<Profile> profile = device::FindProfile(name);
    if (!profile.ok()) {
      return Failed(1, profile.status().message());
    }
    all.push_back(ProfileJson(*profile));
    absl::StrAppend(&out.out, json ? "" : ShowText(*profile, terminal));
  }
  if (json) {
    out.out = JsonOf(names.size() == 1 ? all[0] : all);
  }
  return out;
}

// b / a, "" where nothing differs.
std::string RatioText(double a, double b) {
  if (a == b) {
    return "";
  }
  if (a == 0 || !std::isfinite(a) || !std::isfinite(b)) {
    return "differs";
  }
  return absl::StrFormat("x %.3g", b / a);
}

// The rows in which two profiles differ, as a table and as JSON.
class Differences {
 public:
  Differences(const Profile& a, const Profile& b)
      : table_({{.heading = "Number", .flexible = true},
                {.heading = a.name, .right = true},
                {.heading = b.name, .right = true},
                {.heading = "Unit"},
                {.heading = "Ratio", .right = true},
                {.heading = "Status"}}) {
    // Only what a profile has operator constants for is among its rows.
    const std::vector<ProfileRow> left = ListProfile(a);
    const std::vector<ProfileRow> right = ListProfile(b);
    for (const ProfileRow& row : left) {
      AddNumbers(row, RowOf(right, row.key));
    }
    for (const ProfileRow& row : right) {
      if (Find(left, row.key) == nullptr) {
        AddNumbers(RowOf(left, row.key), row);
      }
    }
    AddMaths("rate_w4a8", a.w4a8, b.w4a8);
    AddMaths("rate_w4a16", a.w4a16, b.w4a16);
  }

  const Table& table() const { return table_; }
  const ordered_json& rows() const { return rows_; }
  int equal() const { return equal_; }

 private:
  static const ProfileRow* Find(const std::vector<ProfileRow>& rows, const std::string& key) {
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&key](const ProfileRow& r) { return r.key == key; });
    return row == rows.end() ? nullptr : &*row;
  }

  // The row of that key, or one that is not given.
  static ProfileRow RowOf(const std::vector<ProfileRow>& rows, const std::string& key) {
    if (const ProfileRow* row = Find(rows, key)) {
      return *row;
    }
    ProfileRow none;
    none.key = key;
    none.number.status = NumberStatus::kPublished;
    none.given = false;
    return none;
  }

  void AddNumbers(const ProfileRow& left, const ProfileRow& right) {
    const ProfileNumber& x = left.number;
    const ProfileNumber& y = right.number;
    if (left.given == right.given && (!left.given || x.value == y.value)) {
      ++equal_;
      return;
    }
    // In one unit: that of the side that has the number.
    const ProfileRow& unit = left.given ? left : right;
    const auto text = [&unit](const ProfileRow& row) {
      return row.given ? ValueText(unit, row.number.value) : "-";
    };
    Add(left.key, text(left), text(right), unit.unit, RatioText(x.value, y.value),
        std::max(x.status, y.status), NumberJson(x.value), NumberJson(y.value),
        x.value == 0 ? ordered_json() : NumberJson(y.value / x.value));
  }

  void AddMaths(const char* key, const ProfileMath& x, const ProfileMath& y) {
    if (x.value == y.value) {
      ++equal_;
      return;
    }
    const std::string left(device::MathTypeName(x.value));
    const std::string right(device::MathTypeName(y.value));
    Add(key, left, right, "", "differs", std::max(x.status, y.status), left, right, nullptr);
  }

  void Add(const std::string& key, const std::string& left, const std::string& right,
           const std::string& unit, const std::string& ratio, NumberStatus weaker, ordered_json x,
           ordered_json y, ordered_json quotient) {
    table_.AddRow({{key}, {left}, {right}, {unit}, {ratio}, {StatusText(weaker), StyleOf(weaker)}});
    rows_.push_back({{"number", key},
                     {"a", std::move(x)},
                     {"b", std::move(y)},
                     {"ratio", std::move(quotient)},
                     {"weaker_status", StatusText(weaker)}});
  }

  Table table_;
  ordered_json rows_ = ordered_json::array();
  int equal_ = 0;
};

Inspection Diff(const std::vector<std::string>& names, const Terminal& terminal, bool json) {
  if (names.size() != 2) {
    return Failed(2, "profile diff takes two profiles: profile diff h100-sxm b200-sxm");
  }
  const absl::StatusOr<Profile> a = device::FindProfile(names[0]);
  const absl::StatusOr<Profile> b = device::FindProfile(names[1]);
  for (const auto* profile : {&a, &b}) {
    if (!profile->ok()) {
      return Failed(1, profile->status().message());
    }
  }
  const Differences differences(*a, *b);
  if (json) {
    return {0,
            JsonOf({{"a", a->name},
                    {"b", b->name},
                    {"equal", differences.equal()},
                    {"numbers", differences.rows()}}),
            ""};
  }
  return {0,
          absl::StrCat(a->what_if || b->what_if ? kWhatIf : "",
                       differences.table().Render(terminal), differences.equal(),
                       differences.equal() == 1 ? " number is equal.\n" : " numbers are equal.\n"),
          ""};
}

Inspection Check(const std::vector<std::string>& names, bool json) {
  if (names.empty()) {
    return Failed(2, "profile check takes one or more files: profile check my-chip.yaml");
  }
  Inspection out;
  ordered_json all = ordered_json::array();
  for (const std::string& name : names) {
    const absl::StatusOr<Profile> profile = device::FindProfile(name);
    if (!profile.ok()) {
      out.exit_code = 1;
      absl::StrAppend(&out.error, Printable(profile.status().message()), "\n");
      all.push_back(
          {{"file", name}, {"ok", false}, {"error", std::string(profile.status().message())}});
      continue;
    }
    int count[4] = {};
    for (const ProfileRow& row : ListProfile(*profile)) {
      count[static_cast<int>(row.number.status)] += row.given ? 1 : 0;
    }
    const auto of = [&count](NumberStatus s) { return count[static_cast<int>(s)]; };
    absl::StrAppend(&out.out, name, ": ok, ", profile->name, ": ", of(NumberStatus::kPublished),
                    " published, ", of(NumberStatus::kMeasured), " measured, ",
                    of(NumberStatus::kDerived), " derived, ", of(NumberStatus::kAssumed),
                    " assumed numbers; hash ", profile->content_hash.ToString().substr(0, 12),
                    "\n");
    all.push_back({{"file", name},
                   {"ok", true},
                   {"profile", profile->name},
                   {"content_hash", profile->content_hash.ToString()}});
  }
  if (json) {
    out.out = JsonOf(all);
  }
  return out;
}

}  // namespace

Inspection InspectProfiles(absl::string_view action, const std::vector<std::string>& names,
                           const Terminal& terminal, bool json) {
  if (action == "show") {
    return Show(names, terminal, json);
  }
  if (action == "diff") {
    return Diff(names, terminal, json);
  }
  if (action == "check") {
    return Check(names, json);
  }
  return Failed(2, absl::StrCat("profile ", action, ": expected show, diff or check"));
}

}  // namespace scoville::client
