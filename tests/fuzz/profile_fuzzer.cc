// Any bytes as a device profile: an error, or a profile that prices a step and draws a power.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"
#include "tests/fuzz/fuzz_target.h"

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto profile = device::ParseProfile(text, "fuzz.yaml");
  if (!profile.ok()) {
    return;
  }
  model::ModelConfig config;
  config.layers = 2;
  config.width = 64;
  config.ffn_width = 128;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_size = 16;
  config.vocabulary = 256;
  const auto timing =
      device::MakeModelTiming(*profile, model::CardOf(config), device::Parallelism());
  if (!timing.ok()) {
    return;
  }
  device::StepShape shape;
  shape.Add({device::StepRole::kDecode, 100, 1, 1, 0}, timing->rules);
  const device::PowerModel power(*profile, 1);
  for (int state = 0; state < power.states(); ++state) {
    const auto price = device::PriceStep(*profile, *timing, shape, state);
    CHECK_EQ(price.stalls.total(), price.duration);
    CHECK_GE(power.Forward(price, state), Power());
  }
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::ifstream in(SCOVILLE_SOURCE_DIR "/deploy/profiles/jalapeno-gen1.yaml", std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  CHECK(!bytes.empty());
  return {std::move(bytes)};
}

}  // namespace scoville::tests
