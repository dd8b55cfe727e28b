// Nanoseconds of the price of a step and of the power it draws; README.md here says what each line
// is.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "device/physics/model_timing.h"
#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"
#include "model/card/model_card_reader.h"
#include "tests/support/nanoseconds.h"

namespace scoville::device {
namespace {

constexpr int64_t kCalls = 200'000;
constexpr int64_t kMaxTokens = 8192;

// Steps of 1 to 256 decodes on uneven contexts, every fourth with a chunk beside them.
std::vector<StepShape> Shapes(const ShapeRules& rules) {
  std::vector<StepShape> shapes;
  for (int64_t i = 0; i < 64; ++i) {
    StepShape shape;
    for (int64_t s = 0; s < 1 + 4 * i; ++s) {
      shape.Add({StepRole::kDecode, 100 + 37 * s, 1, 1, 0}, rules);
    }
    if (i % 4 == 0) {
      shape.Add({StepRole::kPrefill, 1024, 512, 0, 0}, rules);
    }
    shapes.push_back(shape);
  }
  return shapes;
}

void Run(const std::string& profile_name) {
  const absl::StatusOr<Profile> profile = BuiltinProfile(profile_name);
  CHECK(profile.ok());
  const absl::StatusOr<model::ModelCard> card = model::BuiltinCard("llama-3.1-8b");
  CHECK(card.ok());
  absl::StatusOr<ModelTiming> model = MakeModelTiming(*profile, *card, Parallelism());
  CHECK(model.ok());
  const std::vector<StepShape> shapes = Shapes(model->rules);
  const PowerModel power(*profile, 1);
  StepPricer pricer(&*profile, *model, kMaxTokens);
  const int top = profile->top_state();
  const int states = std::min(13, top + 1);
  const auto shape = [&](int64_t i) -> const StepShape& {
    return shapes[static_cast<size_t>(i) % shapes.size()];
  };
  std::vector<StepPrice> prices;
  for (const StepShape& s : shapes) {
    prices.push_back(pricer.Price(s, StepClock{top, top, false}));
  }
  const auto at = [&](int64_t i, int state) {
    return pricer.Price(shape(i), StepClock{state, top, false}).duration.value();
  };
  const auto draw = [&](int64_t i, int state) {
    return power.Forward(prices[static_cast<size_t>(i) % prices.size()], state).value();
  };
  const auto over_states = [&](auto call) {
    return [call, states, top](int64_t i) {
      int64_t sum = 0;
      for (int state = top + 1 - states; state <= top; ++state) {
        sum += call(i, state);
      }
      return sum;
    };
  };
  tests::ReportNanoseconds(profile_name + ", price", kCalls, [&](int64_t i) { return at(i, top); });
  tests::ReportNanoseconds(profile_name + ", price at 13 states", kCalls / 10, over_states(at));
  tests::ReportNanoseconds(profile_name + ", power", kCalls,
                           [&](int64_t i) { return draw(i, top); });
  tests::ReportNanoseconds(profile_name + ", power at 13 states", kCalls / 10, over_states(draw));
  tests::ReportNanoseconds(profile_name + ", price from scratch", kCalls / 10, [&](int64_t i) {
    return PriceStep(*profile, *model, shape(i), top).duration.value();
  });
}

}  // namespace
}  // namespace scoville::device

int main() {
  for (const char* profile : {"jalapeno-gen1", "h100-sxm", "rtx-pro-6000-server"}) {
    scoville::device::Run(profile);
  }
  return 0;
}
