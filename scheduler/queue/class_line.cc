#include "scheduler/queue/class_line.h"

#include <algorithm>
#include <iterator>

#include "base/status_macros.h"

namespace scoville::scheduler {

ClassLine::Flow& ClassLine::At(uint32_t flow) {
  if (flow >= flows_.size()) {
    flows_.resize(flow + 1);
  }
  return flows_[flow];
}

void ClassLine::Reheap(uint32_t flow) {
  const Flow& f = flows_[flow];
  if (f.empty()) {
    if (heap_.Contains(flow)) {
      heap_.Erase(flow);
    }
    return;
  }
  const WaitingRequest& first = *NextOf(f, Begin(f));
  heap_.Set(flow, {f.time, first.due, first.id});
}

const WaitingRequest* ClassLine::NextOf(const Flow& flow, const Cursor& cursor) const {
  const bool any_late = cursor.late != flow.late.end();
  if (cursor.on_time != flow.on_time.end() && !(any_late && cursor.since_late + 1 >= late_share_)) {
    return &*cursor.on_time;
  }
  return any_late ? &*cursor.late : nullptr;
}

void ClassLine::Advance(const Flow& flow, Cursor* cursor) const {
  if (NextOf(flow, *cursor)->late) {
    ++cursor->late;
    cursor->since_late = 0;
  } else {
    ++cursor->on_time;
    cursor->since_late += cursor->late != flow.late.end() ? 1 : 0;
  }
}

bool ClassLine::Owed(uint32_t flow, const WaitingRequest& request) const {
  const Flow& f = flows_[flow];
  return request.late && f.since_late + 1 >= late_share_ && f.late.begin()->id == request.id;
}

void ClassLine::Add(uint32_t flow, const WaitingRequest& request) {
  Flow& f = At(flow);
  if (f.empty()) {
    f.time = std::max(f.time, Floor());
  }
  CHECK(f.LineOf(request).insert(request).second);
  ++size_;
  Reheap(flow);
}

void ClassLine::Erase(uint32_t flow, const WaitingRequest& request) {
  Flow& f = At(flow);
  CHECK_EQ(f.LineOf(request).erase(request), size_t{1});
  --size_;
  if (f.late.empty()) {
    f.since_late = 0;
  }
  Reheap(flow);
}

void ClassLine::MakeLate(uint32_t flow, WaitingRequest request) {
  Flow& f = At(flow);
  CHECK_EQ(f.on_time.erase(request), size_t{1});
  request.late = true;
  CHECK(f.late.insert(request).second);
  Reheap(flow);
}

int64_t ClassLine::Take(uint32_t flow, const WaitingRequest& request) {
  Flow& f = At(flow);
  CHECK_EQ(f.LineOf(request).erase(request), size_t{1});
  --size_;
  f.since_late = request.late || f.late.empty() ? 0 : f.since_late + 1;
  const int64_t start = f.time;
  floor_ = start;
  f.time += request.step;
  Reheap(flow);
  if (f.time > kFarthest) {
    MoveAllBack();
  }
  return start;
}

void ClassLine::Move(uint32_t flow, int64_t step) {
  Flow& f = At(flow);
  f.time = std::max(f.time + step, -kFarthest);
  Reheap(flow);
  if (f.time > kFarthest) {
    MoveAllBack();
  }
}

void ClassLine::Forget(uint32_t flow) {
  Flow& f = At(flow);
  CHECK(f.empty());
  f.since_late = 0;
  f.time = 0;
}

// Once in years of service, or after absurd costs. Differences stay, so no tenant gains or loses;
// keys that were given before rank behind those given after, which no bound depends on.
void ClassLine::MoveAllBack() {
  const int64_t by = Floor();
  for (uint32_t flow = 0; flow < flows_.size(); ++flow) {
    // Who is idle and behind has nothing to remember: it will be lifted.
    const int64_t behind = flows_[flow].time - by;
    flows_[flow].time = std::clamp(behind, -kFarthest, kFarthest);
  }
  floor_ = std::clamp(floor_ - by, -kFarthest, kFarthest);
  for (uint32_t flow = 0; flow < flows_.size(); ++flow) {
    Reheap(flow);
  }
}

void ClassLine::AddRestored(const RankKey& key) {
  CHECK(restored_.insert(key).second);
  ++size_;
}

void ClassLine::EraseRestored(const RankKey& key) {
  CHECK_EQ(restored_.erase(key), size_t{1});
  --size_;
}

int64_t ClassLine::VirtualTime(uint32_t flow) const {
  return flow < flows_.size() ? flows_[flow].time : 0;
}

// A merge of the flows. The next request is the least of a frontier: heap nodes whose parents were
// visited, and the next request of every visited flow at the time its flow would then have.
template <typename Visit>
void ClassLine::Walk(Visit visit) const {
  for (const RankKey& key : restored_) {
    if (!visit(key.id)) {
      return;
    }
  }
  constexpr size_t kAdvanced = SIZE_MAX;
  struct Next {
    FlowKey key;
    size_t heap_node;  // kAdvanced: not the first of its flow
    const Flow* flow;
    Cursor cursor;
  };
  const auto later = [](const Next& a, const Next& b) { return b.key < a.key; };
  std::vector<Next> frontier;
  const auto push = [&](const Next& next) {
    frontier.push_back(next);
    std::push_heap(frontier.begin(), frontier.end(), later);
  };
  const auto push_node = [&](size_t i) {
    if (i < heap_.size()) {
      const TenantHeap::Node& node = heap_.node(i);
      const Flow& flow = flows_[node.flow];
      push({node.key, i, &flow, Begin(flow)});
    }
  };
  push_node(0);
  while (!frontier.empty()) {
    std::pop_heap(frontier.begin(), frontier.end(), later);
    Next next = frontier.back();
    frontier.pop_back();
    const WaitingRequest& request = *NextOf(*next.flow, next.cursor);
    if (!visit(request.id)) {
      return;
    }
    if (next.heap_node != kAdvanced) {
      for (size_t child = 1; child <= TenantHeap::kArity; ++child) {
        push_node(TenantHeap::kArity * next.heap_node + child);
      }
    }
    const int64_t tag = next.key.tag + request.step;
    Advance(*next.flow, &next.cursor);
    if (const WaitingRequest* following = NextOf(*next.flow, next.cursor)) {
      next.key = {tag, following->due, following->id};
      next.heap_node = kAdvanced;
      push(next);
    }
  }
}

void ClassLine::Peek(int64_t limit, std::vector<uint64_t>* ids) const {
  if (static_cast<int64_t>(ids->size()) >= limit) {
    return;
  }
  Walk([&](uint64_t id) {
    ids->push_back(id);
    return static_cast<int64_t>(ids->size()) < limit;
  });
}

int64_t ClassLine::CountBefore(uint64_t id) const {
  int64_t before = 0;
  Walk([&](uint64_t other) {
    before += other != id;
    return other != id;
  });
  return before;
}

bool ClassLine::Holds(uint32_t flow, const WaitingRequest& request) const {
  return flow < flows_.size() && flows_[flow].LineOf(request).contains(request);
}

void ClassLine::CheckInvariants() const {
  heap_.CheckInvariants();
  int64_t size = static_cast<int64_t>(restored_.size());
  for (uint32_t flow = 0; flow < flows_.size(); ++flow) {
    const Flow& f = flows_[flow];
    size += static_cast<int64_t>(f.on_time.size() + f.late.size());
    CHECK_EQ(heap_.Contains(flow), !f.empty());
    CHECK_LE(f.time, kFarthest);
    if (!f.empty()) {
      const WaitingRequest& first = *NextOf(f, Begin(f));
      CHECK(heap_.Of(flow).key == (FlowKey{f.time, first.due, first.id}));
    }
  }
  CHECK_EQ(size, size_);
}

}  // namespace scoville::scheduler
