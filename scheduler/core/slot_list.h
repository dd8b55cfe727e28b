// What belongs to devices, by their numbers: grows at the end, and what is taken out leaves its
// number unused. Walking visits those that are there, in order; their addresses never change.
//
// Ownership: owns the elements, those taken out too. Threading: none. Errors: a number that was
// never given is a programmer error.
#ifndef SCOVILLE_SCHEDULER_CORE_SLOT_LIST_H_
#define SCOVILLE_SCHEDULER_CORE_SLOT_LIST_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace scoville::scheduler {

template <typename T>
class SlotList {
 public:
  // Over T or const T; nothing may be added or taken out on the way.
  template <typename U>
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = U*;
    using reference = U&;

    Iterator() = default;
    explicit Iterator(T* const* at) : at_(at) {}
    U& operator*() const { return **at_; }
    U* operator->() const { return *at_; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++at_;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    T* const* at_ = nullptr;
  };

  // Its number is ids() - 1 from now on.
  T& Add(std::unique_ptr<T> element) {
    all_.push_back(std::move(element));
    there_.push_back(all_.back().get());
    return *all_.back();
  }
  // Nothing happens if it is out already.
  void TakeOut(size_t id) {
    there_.erase(std::remove(there_.begin(), there_.end(), all_[id].get()), there_.end());
  }

  size_t ids() const { return all_.size(); }     // ever given
  size_t size() const { return there_.size(); }  // that are there
  bool empty() const { return there_.empty(); }
  // Also those that were taken out.
  T& operator[](size_t id) { return *all_[id]; }
  const T& operator[](size_t id) const { return *all_[id]; }
  T& front() { return *there_.front(); }
  const T& front() const { return *there_.front(); }
  Iterator<T> begin() { return Iterator<T>(there_.data()); }
  Iterator<T> end() { return Iterator<T>(there_.data() + there_.size()); }
  Iterator<const T> begin() const { return Iterator<const T>(there_.data()); }
  Iterator<const T> end() const { return Iterator<const T>(there_.data() + there_.size()); }

 private:
  std::vector<std::unique_ptr<T>> all_;
  std::vector<T*> there_;  // in order
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_CORE_SLOT_LIST_H_
