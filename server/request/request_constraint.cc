#include "server/request/request_constraint.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "scoville/v1/completions.pb.h"

namespace scoville::server {

namespace {

using Kind = model::ConstraintSpec::Kind;

constexpr size_t kMaxSchema = 256 << 10;
constexpr size_t kMaxPattern = 8 << 10;
constexpr int kMaxTexts = 1024;
constexpr size_t kMaxTextBytes = 1024;

void ReadTexts(const v1::ConstraintChoices& in, FieldChecker* check, model::ConstraintSpec* out) {
  if (in.texts().empty()) {
    check->Invalid("constraint.choices", "is empty, at least 1 text is needed");
  }
  check->AtMost("constraint.choices", static_cast<uint64_t>(in.texts_size()), kMaxTexts, "texts");
  for (int i = 0; i < in.texts_size() && i < kMaxTexts; ++i) {
    const std::string& text = in.texts(i);
    if (text.empty() || text.size() > kMaxTextBytes) {
      check->Invalid(absl::StrCat("constraint.choices[", i, "]"),
                     absl::StrCat("has ", text.size(), " bytes, must have 1 to ", kMaxTextBytes));
    }
    out->choices.push_back(text);
  }
}

}  // namespace

void ReadConstraint(const v1::Constraint& in, const v1::Stop& stop, FieldChecker* check,
                    model::ConstraintSpec* out) {
  switch (in.kind_case()) {
    case v1::Constraint::kJsonSchema:
      out->kind = Kind::kJsonSchema;
      check->AtMost("constraint.json_schema", in.json_schema().size(), kMaxSchema, "bytes");
      out->text = in.json_schema();
      break;
    case v1::Constraint::kJsonObject:
      out->kind = Kind::kJsonObject;
      break;
    case v1::Constraint::kRegex:
      out->kind = Kind::kRegex;
      check->AtMost("constraint.regex", in.regex().size(), kMaxPattern, "bytes");
      out->text = in.regex();
      break;
    case v1::Constraint::kChoices:
      out->kind = Kind::kChoice;
      ReadTexts(in.choices(), check, out);
      break;
    case v1::Constraint::KIND_NOT_SET:
      return;
  }
  if (stop.ignore_eos()) {
    check->Invalid("stop.ignore_eos",
                   "cannot be kept beside a constraint: where its text is complete, nothing but an "
                   "end token is left");
  }
  if (stop.min_tokens() > 0) {
    check->Invalid("stop.min_tokens",
                   "cannot be kept beside a constraint, whose text may be complete before; ask for "
                   "the length in the constraint (minLength, minItems, {m,})");
  }
}

bool NeedsCompiling(ConstraintCache* cache, BuiltRequest* built,
                    std::optional<ServiceError>* error) {
  if (built->constraint.kind == Kind::kNone) {
    return false;
  }
  if (cache == nullptr) {
    *error = UnsupportedFeature("constraint", "constraints are not served here");
    return false;
  }
  std::optional<ConstraintCache::Result> known = cache->Find(built->constraint);
  if (!known) {
    return true;
  }
  built->request.constraint = std::move(known->constraint);
  *error = std::move(known->error);
  return false;
}

std::optional<ServiceError> CompileFor(ConstraintCache* cache, BuiltRequest* built,
                                       absl::FunctionRef<bool()> abandoned) {
  if (built->constraint.kind == Kind::kNone) {
    return std::nullopt;
  }
  if (cache == nullptr) {
    return UnsupportedFeature("constraint", "constraints are not served here");
  }
  ConstraintCache::Result result = cache->Compile(built->constraint, abandoned);
  built->request.constraint = std::move(result.constraint);
  return std::move(result.error);
}

}  // namespace scoville::server
