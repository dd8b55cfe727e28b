#include "model/compute/kv_storage.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "model/compute/attention.h"

namespace scoville::model {

absl::StatusOr<std::unique_ptr<KvStorage>> KvStorage::Create(const ModelConfig& config,
                                                             int64_t num_blocks,
                                                             int64_t block_size) {
  if (num_blocks <= 0 || block_size <= 0 || block_size % kKeyGroup != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("KV pages: ", num_blocks, " blocks of ", block_size,
                     " tokens; want at least one block, and a multiple of ", kKeyGroup, " tokens"));
  }
  const int64_t token_bytes = config.kv_values_per_token() * static_cast<int64_t>(sizeof(uint16_t));
  if (token_bytes <= 0 ||
      num_blocks > std::numeric_limits<int64_t>::max() / block_size / token_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("KV pages: ", num_blocks, " blocks of ",
                                                   block_size, " tokens of ", token_bytes,
                                                   " bytes cannot be addressed"));
  }
  auto storage = std::unique_ptr<KvStorage>(new KvStorage());
  storage->num_blocks_ = num_blocks;
  storage->block_size_ = block_size;
  storage->page_bytes_ = token_bytes * block_size;
  const auto bytes = static_cast<size_t>(storage->page_bytes_ * num_blocks);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat("KV pages: cannot reserve ", bytes, " bytes (",
                                                     std::strerror(errno), "); use fewer blocks"));
  }
  // Fewer TLB misses where the kernel has large pages to give; otherwise nothing changes.
  madvise(memory, bytes, MADV_HUGEPAGE);
  storage->base_ = static_cast<uint8_t*>(memory);
  return storage;
}

void KvStorage::CopyFrom(const KvStorage& other, uint32_t from, uint32_t to) {
  std::memcpy(Page(to), other.Page(from), static_cast<size_t>(page_bytes_));
}

KvStorage::~KvStorage() {
  if (base_ != nullptr) munmap(base_, static_cast<size_t>(page_bytes_ * num_blocks_));
}

}  // namespace scoville::model
