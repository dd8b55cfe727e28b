#include "server/grpc/choice_set.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "scoville/v1/completions.pb.h"
#include "server/stream/choices.h"

namespace scoville::server {

namespace {

bool EndedBadly(const TokenStream& stream) {
  return stream.ended() && (stream.refusal() || !scheduler::IsCompletion(stream.record()->outcome));
}

}  // namespace

ChoiceSet::ChoiceSet(const model::LoadedModel* model, const OutputPlan& plan, uint32_t count)
    : model_(model) {
  choices_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    choices_.emplace_back(model, plan, i);
  }
}

void ChoiceSet::Submit(StreamHub* hub, const std::shared_ptr<Deployment>& deployment,
                       scheduler::Request request, const std::shared_ptr<ReaderThread>& thread,
                       StreamReader* reader) {
  CHECK(hub_ == nullptr);
  hub_ = hub;
  constraint_ = request.constraint;
  const auto streams = hub->SubmitChoices(deployment, std::move(request),
                                          static_cast<uint32_t>(choices_.size()), thread, reader);
  for (size_t i = 0; i < streams.size(); ++i) {
    choices_[i].stream = streams[i];
  }
}

void ChoiceSet::Cancel(scheduler::Outcome outcome) {
  for (const Choice& choice : choices_) {
    if (choice.stream != nullptr && !choice.stream->ended()) {
      hub_->Cancel(choice.stream, outcome);
    }
  }
}

void ChoiceSet::EndTogether() {
  if (ending_ || choices_.size() == 1) {
    return;
  }
  ending_ = std::any_of(choices_.begin(), choices_.end(),
                        [](const Choice& choice) { return EndedBadly(*choice.stream); });
  if (ending_) {
    Cancel();
  }
}

void ChoiceSet::Drop() {
  StreamToken token;
  for (const Choice& choice : choices_) {
    while (choice.stream->Pop(&token)) {
    }
  }
}

void ChoiceSet::Detach() {
  for (const Choice& choice : choices_) {
    if (choice.stream != nullptr) {
      choice.stream->Detach();
    }
  }
}

bool ChoiceSet::ended() const {
  return std::all_of(choices_.begin(), choices_.end(),
                     [](const Choice& choice) { return choice.stream->ended(); });
}

bool ChoiceSet::drained() const {
  return std::all_of(choices_.begin(), choices_.end(),
                     [](const Choice& choice) { return choice.stream->drained(); });
}

std::vector<scheduler::RequestRecord> ChoiceSet::Records() const {
  std::vector<scheduler::RequestRecord> out;
  for (const Choice& choice : choices_) {
    out.push_back(*choice.stream->record());
  }
  return out;
}

std::optional<ServiceError> ChoiceSet::Failure() const {
  // They are refused together.
  if (const auto& refusal = choices_.front().stream->refusal()) {
    return ErrorOfRefusal(*refusal);
  }
  const scheduler::RequestRecord all = MergeChoices(Records());
  if (scheduler::IsCompletion(all.outcome)) {
    return std::nullopt;
  }
  return ErrorOfEnd(all);
}

void ChoiceSet::Finish(v1::Final* out) const {
  const std::vector<scheduler::RequestRecord> records = Records();
  FillFinal(*model_, MergeChoices(records), out);
  if (constraint_ != nullptr) {
    for (const std::string& note : constraint_->notes()) {
      out->add_constraint_notes(note);
    }
  }
  for (size_t i = 0; i < choices_.size(); ++i) {
    choices_[i].builder.FinishChoice(records[i], out->add_choices());
    const uint32_t device = records[i].device.value;
    if (std::count(out->devices().begin(), out->devices().end(), device) == 0) {
      out->add_devices(device);
    }
  }
}

}  // namespace scoville::server
