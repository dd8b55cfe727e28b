// A first-in first-out queue between exactly one producing and one consuming thread, without locks.
//
// Items live in small blocks that are made and freed as the queue grows and shrinks: a stream that
// is read in time holds one block. The caller bounds it (see TokenStream::Congested).
//
// Ownership: owns its items. Threading: Push on the producer; Pop on the consumer; size on either
// (exact on the consumer for what it may pop, never too small on the producer). Destroy when both
// are done. Errors: none.
#ifndef SCOVILLE_SERVER_STREAM_SPSC_QUEUE_H_
#define SCOVILLE_SERVER_STREAM_SPSC_QUEUE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

namespace scoville::server {

template <typename T, size_t kBlock = 32>
class SpscQueue {
 public:
  SpscQueue() : head_(new Block), tail_(head_) {}
  SpscQueue(const SpscQueue&) = delete;
  SpscQueue& operator=(const SpscQueue&) = delete;
  ~SpscQueue() {
    while (head_ != nullptr) {
      delete std::exchange(head_, head_->next);
    }
  }

  void Push(T item) {
    const size_t at = pushed_.load(std::memory_order_relaxed);
    if (at != 0 && at % kBlock == 0) {
      // Published together with the item below: the consumer follows `next` only after seeing it.
      tail_->next = new Block;
      tail_ = tail_->next;
    }
    tail_->items[at % kBlock] = std::move(item);
    pushed_.store(at + 1, std::memory_order_release);
  }

  // False when empty.
  bool Pop(T* item) {
    const size_t at = popped_.load(std::memory_order_relaxed);
    if (at == pushed_.load(std::memory_order_acquire)) {
      return false;
    }
    if (at != 0 && at % kBlock == 0) {
      delete std::exchange(head_, head_->next);
    }
    *item = std::move(head_->items[at % kBlock]);
    // Sequentially consistent, for the producer's look at size() in a lost-wake-up protocol.
    popped_.store(at + 1, std::memory_order_seq_cst);
    return true;
  }

  size_t size() const {
    const size_t popped = popped_.load(std::memory_order_seq_cst);
    return pushed_.load(std::memory_order_acquire) - popped;
  }

 private:
  struct Block {
    std::array<T, kBlock> items{};
    Block* next = nullptr;
  };

  Block* head_;  // consumer
  Block* tail_;  // producer
  alignas(64) std::atomic<size_t> pushed_{0};
  alignas(64) std::atomic<size_t> popped_{0};
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_STREAM_SPSC_QUEUE_H_
