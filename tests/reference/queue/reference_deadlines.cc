#include "tests/reference/queue/reference_deadlines.h"

#include <algorithm>

namespace scoville::tests {

std::vector<__int128> ReferenceSlacks(absl::Span<const ReferenceJob> jobs, TimePoint now,
                                      int64_t servers, int64_t share, int64_t backlog) {
  const __int128 rate = static_cast<__int128>(servers) * share;
  std::vector<__int128> slacks;
  for (size_t i = 0; i < jobs.size(); ++i) {
    __int128 before = backlog;
    for (size_t j = 0; j < i; ++j) {
      before += jobs[j].work;
    }
    const __int128 finish =
        now.ns() * rate + 65536 * before + static_cast<__int128>(65536) * servers * jobs[i].work;
    slacks.push_back(jobs[i].deadline.ns() * rate - finish);
  }
  return slacks;
}

void SortByDeadline(std::vector<ReferenceJob>* jobs) {
  std::sort(jobs->begin(), jobs->end(), [](const ReferenceJob& a, const ReferenceJob& b) {
    return a.deadline != b.deadline ? a.deadline < b.deadline : a.id < b.id;
  });
}

std::vector<TimePoint> ListSchedule(absl::Span<const ReferenceJob> jobs, TimePoint now,
                                    absl::Span<const int64_t> busy, int64_t stretch) {
  std::vector<TimePoint> free_at;
  for (const int64_t b : busy) {
    free_at.push_back(now + Duration(b * stretch));
  }
  std::vector<TimePoint> ends;
  for (const ReferenceJob& job : jobs) {
    const auto first = std::min_element(free_at.begin(), free_at.end());
    *first += Duration(job.work * stretch);
    ends.push_back(*first);
  }
  return ends;
}

}  // namespace scoville::tests
