#include "model/compute/transformer.h"

#include <utility>

#include "base/status_macros.h"
#include "model/compute/forward_pass.h"
#include "model/compute/weights.h"
#include "model/compute/workspace.h"

namespace scoville::model {

struct Transformer::Impl {
  std::unique_ptr<Weights> weights;
};

Transformer::Transformer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transformer::~Transformer() = default;

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::Load(const GgufFile& file) {
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(impl->weights, Weights::Load(file));
  return std::unique_ptr<Transformer>(new Transformer(std::move(impl)));
}

const ModelConfig& Transformer::config() const { return impl_->weights->config(); }

const std::string& Transformer::weight_format() const { return impl_->weights->format(); }

std::unique_ptr<Transformer::Workspace> Transformer::NewWorkspace(int64_t max_rows,
                                                                  int lanes) const {
  return std::make_unique<Workspace>(config(), max_rows, lanes);
}

void Transformer::Forward(absl::Span<const BatchSequence> batch, Workspace& workspace,
                          RowConsumer consumer, Team& team, int lane) const {
  ForwardPass(*impl_->weights, batch, workspace, team, lane).Run(consumer);
}

}  // namespace scoville::model

void std::default_delete<scoville::model::Transformer::Workspace>::operator()(
    scoville::model::Transformer::Workspace* workspace) const {
  delete workspace;
}
