// An executor that knows what the bytes of every page should be: for each token of a sequence what
// depends on it and all before it, as with a real model's keys and values. It draws as the
// synthetic executor does, and fails the process when a step reads a page that holds anything else:
// one that was never written, copied too late, or has become another's.
//
// Ownership: borrows the list of tokens it draws from. Threading: engine thread only. Errors:
// CHECK.
#ifndef SCOVILLE_TESTS_SUPPORT_PAGE_ORACLE_H_
#define SCOVILLE_TESTS_SUPPORT_PAGE_ORACLE_H_

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/status_macros.h"
#include "device/executor/synthetic_executor.h"

namespace scoville::tests {

class PageOracle final : public device::Executor {
 public:
  static constexpr int64_t kBlockSize = 16;

  explicit PageOracle(const std::vector<int32_t>* drawable) : draws_(drawable) {}
  static std::unique_ptr<device::Executor> Make(const std::vector<int32_t>* drawable) {
    return std::make_unique<PageOracle>(drawable);
  }

  void Execute(absl::Span<const device::SequenceStep> work, Done done) override {
    for (const device::SequenceStep& step : work) {
      uint64_t value = 0;
      for (int64_t i = 0; i < step.cached + step.count; ++i) {
        const auto at = static_cast<size_t>(i);
        value = (value ^ static_cast<uint64_t>(step.tokens[at] + 1)) * 0x9e3779b97f4a7c15;
        value ^= value >> 29;
        const uint32_t page = step.blocks[static_cast<size_t>(i / kBlockSize)];
        uint64_t& held = Row(pages_, page)[static_cast<size_t>(i % kBlockSize)];
        if (i < step.cached) {
          CHECK_EQ(held, value);  // of request step.request, token i, in `page`
        } else {
          held = value;
        }
      }
    }
    draws_.Execute(work, std::move(done));
  }

  void CopyPage(const device::PageCopy& copy) override {
    const Page from = Row(pages_, copy.from);
    Row(pages_, copy.to) = from;
  }
  void CopyToHost(uint32_t page, uint32_t host_page) override {
    Row(host_, host_page) = Row(pages_, page);
  }
  void CopyFromHost(uint32_t host_page, uint32_t page) override {
    Row(pages_, page) = Row(host_, host_page);
  }
  void CopyFromPeer(const device::Executor& peer, uint32_t peer_page, uint32_t page) override {
    const auto& pages = static_cast<const PageOracle&>(peer).pages_;
    const auto found = pages.find(peer_page);
    Row(pages_, page) = found == pages.end() ? Page(kBlockSize) : found->second;
  }

 private:
  using Page = std::vector<uint64_t>;
  using Pages = std::unordered_map<uint32_t, Page>;

  static Page& Row(Pages& pages, uint32_t page) {
    return pages.try_emplace(page, kBlockSize).first->second;
  }

  device::SyntheticExecutor draws_;
  Pages pages_;
  Pages host_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_PAGE_ORACLE_H_
