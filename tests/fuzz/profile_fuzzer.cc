// Any bytes as a device profile: an error, or a profile that prices a step and draws a power.
#include <cstddef>
#include <cstdint>

#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto profile = scoville::device::ParseProfile(text, "fuzz.yaml");
  if (!profile.ok()) {
    return 0;
  }
  scoville::model::ModelConfig config;
  config.layers = 2;
  config.width = 64;
  config.ffn_width = 128;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_size = 16;
  config.vocabulary = 256;
  const auto timing =
      scoville::device::MakeModelTiming(*profile, config, scoville::device::NumericFormat(), 1);
  if (!timing.ok()) {
    return 0;
  }
  scoville::device::StepShape shape;
  shape.Add({scoville::device::StepRole::kDecode, 100, 1, 1, 0}, 16, 128);
  const scoville::device::PowerModel power(*profile, 1);
  for (int state = 0; state < power.states(); ++state) {
    const auto price = scoville::device::PriceStep(*profile, *timing, shape, state);
    if (price.stalls.total() != price.duration || power.Forward(price, state).value() < 0) {
      __builtin_trap();
    }
  }
  return 0;
}
