// Any bytes as a config.json: an error, or a card whose counts add up and that can be priced.
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "device/physics/model_timing.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"
#include "model/card/model_card_reader.h"
#include "tests/fuzz/fuzz_target.h"

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto card = model::ParseModelCard(text, "config.json", "fuzz");
  if (!card.ok()) {
    CHECK(!card.status().message().empty());
    return;
  }
  CHECK(model::Validate(*card).ok());
  CHECK_GE(card->layers(), 1);
  CHECK_GE(card->active_parameters(), 1);
  CHECK(std::isfinite(card->stored_bytes()) && card->stored_bytes() > 0);
  static const device::Profile* const profile = new device::Profile(device::DefaultProfile());
  device::Parallelism parallelism;
  parallelism.chips = 8;
  const auto timing = device::MakeModelTiming(*profile, *card, parallelism);
  if (!timing.ok()) {
    return;
  }
  const device::MemoryPlan plan = device::PlanMemory(*profile, *timing);
  CHECK(!device::DescribeMemory(plan, *timing).empty());
  device::StepShape shape;
  shape.Add({device::StepRole::kDecode, 100, 1, 1, 0}, timing->rules);
  const auto price = device::PriceStep(*profile, *timing, shape, profile->top_state());
  CHECK_EQ(price.stalls.total(), price.duration);
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (const std::string& name : model::BuiltinCardNames()) {
    std::ifstream in(absl::StrCat(SCOVILLE_SOURCE_DIR, "/deploy/models/", name, "/config.json"),
                     std::ios::binary);
    std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(in),
                               std::istreambuf_iterator<char>()};
    CHECK(!bytes.empty());
    seeds.push_back(std::move(bytes));
  }
  return seeds;
}

}  // namespace scoville::tests
