// `card show`.
#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/inspect/inspect.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/terminal/text_width.h"
#include "device/physics/model_timing.h"
#include "model/card/model_card_reader.h"

namespace scoville::client {
namespace {

using model::LayerGroup;
using model::ModelCard;
using nlohmann::ordered_json;

constexpr int64_t kMostChips = 1024;
constexpr int64_t kBlockTokens = 16;

Inspection Failed(int exit_code, absl::string_view message) {
  return {exit_code, "", absl::StrCat(Printable(message), "\n")};
}

std::string BillionsText(int64_t count) {
  const double billions = static_cast<double>(count) / 1e9;
  return billions >= 1 ? absl::StrFormat("%.4gB", billions)
                       : absl::StrFormat("%.4gM", billions * 1e3);
}

std::string GigabytesText(double bytes) { return absl::StrFormat("%.2f GB", bytes / 1e9); }

int64_t RoutedParameters(const ModelCard& card) {
  int64_t routed = 0;
  for (const LayerGroup& group : card.groups) {
    routed += group.count * card.expert_parameters(group);
  }
  return routed;
}

double KvBytesPerToken(const ModelCard& card) {
  return static_cast<double>(card.layers() * card.kv_values_per_layer()) *
         model::BytesPerValue(card.kv);
}

std::string GroupText(const LayerGroup& group) {
  std::string text;
  if (group.experts > 0) {
    text = absl::StrCat(group.experts_per_token, " of ", group.experts, " experts of ",
                        group.ffn_width);
    if (group.shared_width > 0) {
      absl::StrAppend(&text, " and ", group.shared_width, " shared");
    }
  } else {
    text = absl::StrCat("dense, FFN of ", group.ffn_width);
  }
  return group.window > 0 ? absl::StrCat(text, ", window of ", group.window) : text;
}

// How the card lies on some chips; an error if there is no such thing.
struct Fit {
  device::Profile profile;
  device::ModelTiming timing;
  device::MemoryPlan plan;
};

absl::StatusOr<Fit> FitOn(const ModelCard& card, const CardQuestion& question) {
  absl::StatusOr<device::Profile> profile = device::FindProfile(question.profile);
  if (!profile.ok()) {
    return profile.status();
  }
  Fit fit;
  fit.profile = *std::move(profile);
  absl::Status last;
  for (int64_t chips = question.chips > 0 ? question.chips : 1; chips <= kMostChips; chips *= 2) {
    device::Parallelism parallelism;
    parallelism.chips = chips;
    parallelism.expert_parallel = question.expert_parallel;
    absl::StatusOr<device::ModelTiming> timing =
        device::MakeModelTiming(fit.profile, card, parallelism, kBlockTokens);
    if (!timing.ok()) {
      return last.ok() && fit.timing.chips > 1 ? absl::StatusOr<Fit>(fit) : timing.status();
    }
    fit.timing = *std::move(timing);
    fit.plan = device::PlanMemory(fit.profile, fit.timing);
    if (question.chips > 0 || fit.plan.kv_blocks > 0) {
      break;
    }
  }
  return fit;
}

ordered_json CardJson(const ModelCard& card, const Fit& fit) {
  ordered_json groups = ordered_json::array();
  for (const LayerGroup& group : card.groups) {
    groups.push_back({{"count", group.count},
                      {"window", group.window},
                      {"ffn_width", group.ffn_width},
                      {"experts", group.experts},
                      {"experts_per_token", group.experts_per_token},
                      {"shared_width", group.shared_width}});
  }
  return {{"card", card.name},
          {"parameters", card.total_parameters()},
          {"active_parameters", card.active_parameters()},
          {"layers", card.layers()},
          {"width", card.width},
          {"context", card.context},
          {"vocabulary", card.vocabulary},
          {"groups", groups},
          {"weights", std::string(model::PrecisionName(card.weights))},
          {"experts", std::string(model::PrecisionName(card.expert_weights))},
          {"activations", std::string(model::PrecisionName(card.activations))},
          {"kv", std::string(model::PrecisionName(card.kv))},
          {"stored_bytes", card.stored_bytes()},
          {"kv_bytes_per_token", KvBytesPerToken(card)},
          {"on",
           {{"profile", fit.profile.name},
            {"chips", fit.timing.chips},
            {"capacity_bytes", fit.plan.capacity},
            {"usable_bytes", fit.plan.usable},
            {"weight_bytes", fit.plan.weights},
            {"kv_blocks", std::max<int64_t>(fit.plan.kv_blocks, 0)},
            {"kv_tokens", std::max<int64_t>(fit.plan.kv_blocks, 0) * kBlockTokens},
            {"fits", fit.plan.kv_blocks > 0}}}};
}

void AddMemory(const ModelCard& card, const Fit& fit, Table* table) {
  const device::MemoryPlan& plan = fit.plan;
  const int64_t chips = fit.timing.chips;
  table->AddRow(
      {{"memory"},
       {GigabytesText(plan.capacity)},
       {absl::StrCat(chips, " x ", GigabytesText(fit.profile.hbm_capacity.value)), Style::kDim}});
  table->AddRow({{"usable"},
                 {GigabytesText(plan.usable)},
                 {absl::StrFormat("x %.2f; the rest is for activations and the runtime",
                                  device::kUsableMemory),
                  Style::kDim}});
  const bool copies = plan.weights > 1.001 * card.stored_bytes();
  table->AddRow(
      {{"weights"},
       {GigabytesText(plan.weights)},
       {copies ? "with the parts that every chip holds" : "once over all chips", Style::kDim}});
  const double left = plan.usable - plan.weights;
  if (plan.kv_blocks <= 0) {
    table->AddRow({{"does not fit", Style::kRed},
                   {GigabytesText(-left)},
                   {"is missing; more chips, or fewer bytes a weight", Style::kDim}});
    return;
  }
  table->AddRow(
      {{"left for KV", Style::kGreen}, {GigabytesText(left)}, {"usable - weights", Style::kDim}});
  table->AddRow({{"KV blocks"},
                 {CountText(plan.kv_blocks)},
                 {absl::StrFormat("of %d tokens, %.0f bytes on all chips", kBlockTokens,
                                  plan.bytes_per_block),
                  Style::kDim}});
  const int64_t tokens = plan.kv_blocks * kBlockTokens;
  table->AddRow({{"KV tokens"},
                 {CountText(tokens)},
                 {absl::StrFormat("%.1f sequences of the whole context, %d tokens",
                                  static_cast<double>(tokens) / static_cast<double>(card.context),
                                  card.context),
                  Style::kDim}});
}

std::string ShowText(const ModelCard& card, const Fit& fit, const Terminal& terminal) {
  Table table({{.heading = "Figure"},
               {.heading = "Value", .right = true},
               {.heading = "How", .flexible = true}});
  table.SetTitle({card.name, absl::StrCat(BillionsText(card.total_parameters()), " parameters"),
                  absl::StrCat(BillionsText(card.active_parameters()), " active")});
  const int64_t routed = RoutedParameters(card);
  const int64_t dense = card.total_parameters() - routed;
  const auto row = [&table](absl::string_view name, const std::string& value,
                            const std::string& how) {
    table.AddRow({{std::string(name)}, {value}, {how, Style::kDim}});
  };
  row("parameters", BillionsText(card.total_parameters()), "biases and norms not counted");
  row("active", BillionsText(card.active_parameters()), "a decoded token's, head included");
  for (const LayerGroup& group : card.groups) {
    row("layers", absl::StrCat(group.count), GroupText(group));
  }
  row("attention", absl::StrCat(card.heads, " heads"),
      card.latent ? absl::StrFormat("latent, rows of %d + %d values", card.latent->kv_rank,
                                    card.latent->rope_size)
                  : absl::StrFormat("%d KV heads of %d", card.kv_heads, card.head_size));
  row("context", CountText(card.context), "tokens");
  row("vocabulary", CountText(card.vocabulary), card.tied_head ? "head tied to the table" : "");
  const double experts = static_cast<double>(routed) * model::BytesPerValue(card.expert_weights);
  row("weights", GigabytesText(card.stored_bytes() - experts),
      absl::StrFormat("%s x %.3f bytes (%s)", BillionsText(dense),
                      (card.stored_bytes() - experts) / static_cast<double>(dense),
                      model::PrecisionName(card.weights)));
  if (routed > 0) {
    row("experts", GigabytesText(experts),
        absl::StrFormat("%s x %.4g bytes (%s)", BillionsText(routed),
                        model::BytesPerValue(card.expert_weights),
                        model::PrecisionName(card.expert_weights)));
  }
  row("activations", std::string(model::PrecisionName(card.activations)), "");
  row("KV of a token", absl::StrFormat("%.0f bytes", KvBytesPerToken(card)),
      absl::StrFormat("%d layers x %d values x %.4g bytes (%s)%s", card.layers(),
                      card.kv_values_per_layer(), model::BytesPerValue(card.kv),
                      model::PrecisionName(card.kv),
                      card.window() > 0 ? "; windowed layers are cached whole" : ""));
  Table fits({{.heading = absl::StrCat("On ", fit.timing.chips, " x ", fit.profile.name)},
              {.heading = "Value", .right = true},
              {.heading = "How", .flexible = true}});
  AddMemory(card, fit, &fits);
  return absl::StrCat(table.Render(terminal), fits.Render(terminal));
}

Inspection List(const Terminal& terminal, bool json) {
  if (json) {
    return {0, ordered_json(model::BuiltinCardNames()).dump(2) + "\n", ""};
  }
  Table table({{.heading = "Card", .flexible = true},
               {.heading = "Parameters", .right = true},
               {.heading = "Active", .right = true},
               {.heading = "Stored", .right = true},
               {.heading = "KV bytes/token", .right = true}});
  for (const std::string& name : model::BuiltinCardNames()) {
    const absl::StatusOr<ModelCard> card = model::BuiltinCard(name);
    if (card.ok()) {
      table.AddRow({{name},
                    {BillionsText(card->total_parameters())},
                    {BillionsText(card->active_parameters())},
                    {GigabytesText(card->stored_bytes())},
                    {absl::StrFormat("%.0f", KvBytesPerToken(*card))}});
    }
  }
  return {0, table.Render(terminal), ""};
}

}  // namespace

Inspection InspectCards(absl::string_view action, const std::vector<std::string>& names,
                        const CardQuestion& question, const Terminal& terminal, bool json) {
  if (action != "show") {
    return Failed(2, absl::StrCat("card ", action, ": expected show"));
  }
  if (names.empty()) {
    return List(terminal, json);
  }
  Inspection out;
  ordered_json all = ordered_json::array();
  for (const std::string& name : names) {
    const absl::StatusOr<ModelCard> card = model::FindCard(name);
    if (!card.ok()) {
      return Failed(1, card.status().message());
    }
    const absl::StatusOr<Fit> fit = FitOn(*card, question);
    if (!fit.ok()) {
      return Failed(1, fit.status().message());
    }
    all.push_back(CardJson(*card, *fit));
    absl::StrAppend(&out.out, json ? "" : ShowText(*card, *fit, terminal));
  }
  if (json) {
    out.out = (names.size() == 1 ? all[0] : all).dump(2) + "\n";
  }
  return out;
}

}  // namespace scoville::client
