// Runs something once per instruction set that the kernels are compiled for and this machine has.
#ifndef SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_EACH_TARGET_H_
#define SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_EACH_TARGET_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "hwy/highway.h"

namespace scoville::tests {

// Returns how many there were. The portable target is always one of them.
inline int ForEachTarget(absl::FunctionRef<void(const char* name)> run) {
  const int64_t supported = hwy::SupportedTargets();
  int count = 0;
  for (const int64_t target :
       {int64_t{HWY_AVX3_DL}, int64_t{HWY_AVX2}, int64_t{HWY_STATIC_TARGET}}) {
    if (target != HWY_STATIC_TARGET && (supported & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    run(hwy::TargetName(target));
    ++count;
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return count;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_EACH_TARGET_H_
