// Measured operator times in place of the analytic ones: what one chip of a group needs for each
// operator of a layer, read from a directory of CSV files, and how a pass is composed from them.
//
//   attention.csv     prefill_chunk,kv_prefill,n_decode,kv_decode,time_us   one layer's attention
//   over
//                     one chunk on `kv_prefill` cached tokens and `n_decode` sequences of
//                     `kv_decode` tokens; 0 where a side is absent
//   dense.csv         layer,tokens,time_us         embedding, layernorm, qkv_proj, rotary_emb,
//   o_proj,
//                     gate_up_proj, act_fn, down_proj, final_layernorm; qk_norm where the model has
//                     it
//   per_sequence.csv  layer,sequences,time_us      lm_head, sampler; by rows that sample
//   skew.csv          regime,n,t_mean_us,t_max_us,t_skew_us                 optional: n decodes at
//                     their mean context, at their longest, and as they are; regime pure or mixed
//   all_reduce.csv    bytes,time_us                optional: one all-reduce of the group
//
// Heads, widths and vocabulary are those of one chip of the group. Other columns are ignored.
//
//   pass = layers x [2 layernorm + qkv_proj + qk_norm + rotary_emb + attention + o_proj
//                    + gate_up_proj + act_fn + down_proj] + embedding + final_layernorm
//          + lm_head + sampler                                        (collectives: by the caller)
//   attention = t(mean) + a (t(longest) - t(mean)) over the decodes' contexts, a from skew.csv,
//   else
//               the profile's skew_share
//
// A table has one chunk a call. Several prompts of one step count as one chunk of all their tokens
// on as many cached tokens as give the same query-key pairs; where that would be fewer than none,
// as the shorter chunk that has these pairs by itself.
//
// Units: microseconds in the files, seconds here. Ownership: owns the numbers. Threading: immutable
// after it is made. Errors: InvalidArgument "file:line: what", NotFound for a file that is needed,
// InvalidArgument for a model of another kind than dense with full attention.
#ifndef SCOVILLE_DEVICE_PHYSICS_TABLES_OPERATOR_TABLES_H_
#define SCOVILLE_DEVICE_PHYSICS_TABLES_OPERATOR_TABLES_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "device/physics/model_timing.h"
#include "device/physics/profile.h"
#include "device/physics/step_shape.h"
#include "device/physics/tables/interpolation.h"

namespace scoville::device {

// The files' contents.
struct OperatorTableTexts {
  std::string attention;
  std::string dense;
  std::string per_sequence;
  std::optional<std::string> skew;
  std::optional<std::string> all_reduce;
};

class OperatorTables {
 public:
  static absl::StatusOr<std::unique_ptr<OperatorTables>> Load(const std::string& directory,
                                                              const Profile& profile,
                                                              const ModelTiming& model);
  // `directory` stands in errors.
  static absl::StatusOr<std::unique_ptr<OperatorTables>> Parse(const OperatorTableTexts& texts,
                                                               absl::string_view directory,
                                                               const Profile& profile,
                                                               const ModelTiming& model);

  // A pass without collectives and without the host.
  double PassSeconds(const StepShape& shape) const;
  // One layer's attention.
  double AttentionSeconds(const StepShape& shape) const;

  bool has_all_reduce() const { return !all_reduce_.empty(); }
  // One all-reduce; 0 without a table.
  double AllReduceSeconds(double bytes) const { return all_reduce_.At(bytes); }

 private:
  OperatorTables() = default;
  absl::Status ReadAttention(absl::string_view text, absl::string_view file);
  absl::Status ReadDense(absl::string_view text, absl::string_view file);
  absl::Status ReadPerSequence(absl::string_view text, absl::string_view file);
  absl::Status ReadSkew(absl::string_view text, absl::string_view file);
  absl::Status ReadAllReduce(absl::string_view text, absl::string_view file);

  double layers_ = 0;
  double skew_share_ = 0;
  Grid prefill_;   // chunk, cached
  Grid decode_;    // sequences, context
  Grid mixed_;     // chunk, cached, sequences, context; empty: the sum of the two
  Curve tokens_;   // all layers and what stands around them, by tokens
  Curve outputs_;  // head and sampler, by rows
  Curve skew_[2];  // share by number of decodes: alone, beside a chunk
  Curve all_reduce_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_TABLES_OPERATOR_TABLES_H_
