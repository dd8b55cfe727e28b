// The Llama-architecture forward pass over a ragged batch with paged KV, on the host CPU.
//
// Batch-invariant: a row's result depends on the row's own tokens alone, never on the batch, the
// chunking, the block numbers, the lane count or the instruction set; kernels keep one written
// order of every floating-point sum.
//
// Units: tokens and rows. Ownership: Transformer owns repacked weights (the GGUF file may be closed
// after Load); a Workspace owns scratch memory for one batch at a time; KvStorage owns one device's
// pages. Threading: Transformer is immutable after Load; Forward is called by every lane of a Team
// at once with the same arguments, lanes meet at the team's barrier inside. Errors: Load refuses
// files whose architecture, shapes or types do not fit, naming the tensor. Forward's preconditions
// (ids inside the vocabulary, blocks that cover the positions) are CHECKs.
#ifndef SCOVILLE_MODEL_COMPUTE_TRANSFORMER_H_
#define SCOVILLE_MODEL_COMPUTE_TRANSFORMER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/compute_pool.h"
#include "model/compute/kv_storage.h"
#include "model/gguf/gguf_file.h"
#include "model/model_config.h"

namespace scoville::model {

// One sequence's share of a batch: `tokens` at positions position .. position + tokens.size() - 1.
struct BatchSequence {
  absl::Span<const int32_t> tokens;   // at least one
  int64_t position = 0;               // tokens whose K and V are already in the pages
  KvStorage* kv = nullptr;            // the pages of the device that runs this sequence
  absl::Span<const uint32_t> blocks;  // page numbers, covering position + tokens.size()
  int64_t first_output_row =
      0;  // rows [first_output_row, tokens.size()) get logits; == size(): none
};

class Transformer {
 public:
  // Scratch for one batch of at most `max_rows` tokens.
  class Workspace;

  // Called once per output row, on some lane; `logits` has vocabulary() values and is scratch the
  // callee may change. Calls for different rows run concurrently on different lanes.
  using RowConsumer = absl::FunctionRef<void(int sequence, int64_t row, absl::Span<float> logits)>;

  static absl::StatusOr<std::unique_ptr<Transformer>> Load(const GgufFile& file);
  ~Transformer();

  const ModelConfig& config() const;
  // How the weights are held, for people: which tensor types are as the file stores them, and which
  // had to be requantised to 8 bits (a loss; see packed_matrix.h).
  const std::string& weight_format() const;

  std::unique_ptr<Workspace> NewWorkspace(int64_t max_rows, int lanes) const;

  // One step. Rows in total at most the workspace's; every lane of `team` calls it with equal
  // arguments.
  void Forward(absl::Span<const BatchSequence> batch, Workspace& workspace, RowConsumer consumer,
               Team& team, int lane) const;

 private:
  struct Impl;
  explicit Transformer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::model

// Lets owners of a Workspace leave its definition (workspace.h) out.
template <>
struct std::default_delete<scoville::model::Transformer::Workspace> {
  void operator()(scoville::model::Transformer::Workspace* workspace) const;
};

#endif  // SCOVILLE_MODEL_COMPUTE_TRANSFORMER_H_
