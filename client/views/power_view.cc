#include "client/views/power_view.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/terminal/text_width.h"
#include "client/views/message_json.h"

namespace scoville::client {
namespace {

// More than these stairs, and the middle ones are left out.
constexpr int kStairsShown = 8;

std::string Watts(int64_t milliwatts) {
  return absl::StrFormat("%.4g W", static_cast<double>(milliwatts) * 1e-3);
}

std::string Seconds(int64_t ns) { return SecondsText(static_cast<double>(ns) * 1e-9); }

std::string Rate(int64_t millitokens_per_second) {
  return absl::StrCat(RateText(static_cast<double>(millitokens_per_second) * 1e-3), " tokens/s");
}

std::string FateText(v1::DeviceFate fate) { return EnumText(*v1::DeviceFate_descriptor(), fate); }

Style FateStyle(v1::DeviceFate fate) {
  switch (fate) {
    case v1::DEVICE_FATE_RUN:
      return Style::kGreen;
    case v1::DEVICE_FATE_LOST:
    case v1::DEVICE_FATE_PREEMPT:
      return Style::kRed;
    default:
      return Style::kYellow;
  }
}

std::string NodesText(const v1::GetPowerBudgetResponse& state, const Terminal& terminal) {
  Table table({{.heading = "Node", .flexible = true},
               {.heading = "Level", .optional = true},
               {.heading = "Devices", .right = true},
               {.heading = "Counted", .right = true},
               {.heading = "In force", .right = true},
               {.heading = "Usable", .right = true},
               {.heading = "Budget", .right = true}});
  table.SetTitle(
      {"power budgets EMULATED",
       state.rung() == 0 ? "nothing gives way" : absl::StrCat("down to rung ", state.rung()),
       state.settled() ? "settled" : "on the way"});
  std::map<std::string, int> depths;
  for (const v1::BudgetNodeState& node : state.nodes()) {
    const int depth = node.parent().empty() ? 0 : depths[node.parent()] + 1;
    depths[node.name()] = depth;
    const bool budget = node.has_budget_milliwatts();
    table.AddRow(
        {{absl::StrCat(std::string(static_cast<size_t>(depth) * 2, ' '), Printable(node.name()))},
         {EnumText(*v1::BudgetLevel_descriptor(), node.level())},
         {absl::StrCat(node.devices())},
         {Watts(node.counted_milliwatts())},
         {budget ? Watts(node.in_force_milliwatts()) : "-"},
         {budget ? Watts(node.usable_milliwatts()) : "-"},
         {budget ? Watts(node.budget_milliwatts()) : "none"}});
  }
  return table.Render(terminal);
}

std::string DevicesText(const v1::GetPowerBudgetResponse& state, const Terminal& terminal) {
  Table table({{.heading = "ID", .right = true},
               {.heading = "Node", .flexible = true, .optional = true},
               {.heading = "Fate"},
               {.heading = "Cap", .right = true},
               {.heading = "Counted", .right = true},
               {.heading = "Holds", .right = true},
               {.heading = "Least", .right = true, .optional = true},
               {.heading = "Ceiling", .right = true, .optional = true},
               {.heading = "Tokens/s", .right = true, .optional = true}});
  for (const v1::DevicePowerState& device : state.devices()) {
    table.AddRow(
        {{absl::StrCat(device.device())},
         {Printable(device.node())},
         {device.parked() ? "asleep" : FateText(device.fate()), FateStyle(device.fate())},
         {Watts(device.cap_milliwatts())},
         {Watts(device.counted_milliwatts())},
         {device.effective_in_ns() > 0 ? absl::StrCat("in ", Seconds(device.effective_in_ns()))
                                       : "now"},
         {Watts(device.min_cap_milliwatts())},
         {Watts(device.ceiling_milliwatts())},
         {RateText(static_cast<double>(device.millitokens_per_second()) * 1e-3)}});
  }
  return table.Render(terminal);
}

std::string RungsText(const google::protobuf::RepeatedPtrField<v1::LadderRung>& rungs,
                      const Terminal& terminal) {
  Table table({{.heading = "Rung"},
               {.heading = "Frees", .right = true},
               {.heading = "Costs", .right = true},
               {.heading = "Takes", .right = true},
               {.heading = "Devices", .right = true, .optional = true},
               {.heading = "What happens", .flexible = true, .optional = true}});
  for (const v1::LadderRung& rung : rungs) {
    const bool any = rung.devices_size() > 0;
    table.AddRow({{absl::StrCat(rung.rung(), " ", Printable(rung.name()))},
                  {Watts(rung.freed_milliwatts())},
                  {Rate(rung.lost_millitokens_per_second())},
                  {!any                  ? "-"
                   : rung.has_takes_ns() ? Seconds(rung.takes_ns())
                                         : "unknown"},
                  {absl::StrCat(rung.devices_size())},
                  {Printable(rung.meaning())}});
  }
  return table.Render(terminal);
}

std::string StairsText(const google::protobuf::RepeatedPtrField<v1::PowerStair>& stairs) {
  std::string text = "Stairs:";
  for (int i = 0; i < stairs.size(); ++i) {
    if (stairs.size() > kStairsShown && i == kStairsShown / 2) {
      absl::StrAppend(&text, " …");
      i = stairs.size() - kStairsShown / 2;
    }
    absl::StrAppend(&text, i > 0 ? ", " : " ", Watts(stairs[i].limit_milliwatts()), " in ",
                    Seconds(stairs[i].at_ns()));
  }
  return absl::StrCat(text, "\n");
}

}  // namespace

std::string PowerBudgetText(const v1::GetPowerBudgetResponse& state, const Terminal& terminal) {
  std::string text = absl::StrCat(NodesText(state, terminal), DevicesText(state, terminal),
                                  "What could give way from here, in this order (predicted):\n",
                                  RungsText(state.ladder(), terminal), "At the least ",
                                  Watts(state.lowest_milliwatts()), " for the fleet; ");
  absl::StrAppendFormat(&text, "%.3g %% of each budget is kept in reserve.\n",
                        static_cast<double>(state.reserve_ppm()) * 1e-4);
  if (state.stairs_size() > 0) {
    absl::StrAppend(&text, StairsText(state.stairs()));
  }
  return text;
}

std::string PowerAnswerText(const v1::SetPowerBudgetResponse& answer, bool dry,
                            const Terminal& terminal) {
  std::string text = absl::StrCat(dry                    ? "Dry run: "
                                  : answer.would_apply() ? "Set: "
                                                         : "Not set: ",
                                  Printable(answer.summary()), "\n");
  if (answer.rungs_size() > 0) {
    absl::StrAppend(&text, RungsText(answer.rungs(), terminal));
    for (const v1::LadderRung& rung : answer.rungs()) {
      absl::StrAppend(&text, "Rung ", rung.rung(), " hits ", Printable(rung.who_is_hit()), ".\n");
    }
  }
  Table table({{.heading = "ID", .right = true},
               {.heading = "Fate"},
               {.heading = "Cap now", .right = true},
               {.heading = "Cap then", .right = true}});
  for (const v1::DevicePowerChange& device : answer.devices()) {
    table.AddRow({{absl::StrCat(device.device())},
                  {FateText(device.fate()), FateStyle(device.fate())},
                  {Watts(device.before_milliwatts())},
                  {Watts(device.after_milliwatts())}});
  }
  absl::StrAppend(&text, table.Render(terminal), StairsText(answer.stairs()),
                  "Predicted: ", Rate(answer.before_millitokens_per_second()), " now, ",
                  Rate(answer.after_millitokens_per_second()), " then");
  if (answer.latency_factor_milli() > 0) {
    absl::StrAppendFormat(&text, "; a token takes %.3g times as long",
                          static_cast<double>(answer.latency_factor_milli()) * 1e-3);
  }
  return absl::StrCat(text, " (emulated).\n");
}

}  // namespace scoville::client
