// One device's pages of K and V for one model, addressed by block number.
//
// Which block belongs to whom is decided by device/kv/; this class only holds the bytes. Memory is
// reserved at once and committed by the operating system at first touch.
//
// Units: a block holds block_size() tokens over all layers. Ownership: owns its memory. Threading:
// written and read by the lanes of the one batch that runs; blocks of different sequences are
// disjoint for writing. Errors: Create fails with kResourceExhausted when the address range cannot
// be had.
#ifndef SCOVILLE_MODEL_COMPUTE_KV_STORAGE_H_
#define SCOVILLE_MODEL_COMPUTE_KV_STORAGE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "model/model_config.h"

namespace scoville::model {

class KvStorage {
 public:
  static absl::StatusOr<std::unique_ptr<KvStorage>> Create(const ModelConfig& config,
                                                           int64_t num_blocks, int64_t block_size);
  ~KvStorage();
  KvStorage(const KvStorage&) = delete;
  KvStorage& operator=(const KvStorage&) = delete;

  int64_t num_blocks() const { return num_blocks_; }
  int64_t block_size() const { return block_size_; }

  // Copies a page's bytes. Neither page may be in use by a batch that runs.
  void Copy(uint32_t from, uint32_t to) { CopyFrom(*this, from, to); }
  // The same from another storage of the same model.
  void CopyFrom(const KvStorage& other, uint32_t from, uint32_t to);

  // First byte of the block's page; its inner layout is the transformer's business.
  uint8_t* Page(uint32_t block) { return base_ + static_cast<int64_t>(block) * page_bytes_; }
  const uint8_t* Page(uint32_t block) const {
    return base_ + static_cast<int64_t>(block) * page_bytes_;
  }

 private:
  KvStorage() = default;
  int64_t num_blocks_ = 0;
  int64_t block_size_ = 0;
  int64_t page_bytes_ = 0;
  uint8_t* base_ = nullptr;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_KV_STORAGE_H_
