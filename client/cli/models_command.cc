// `scoville models` and `scoville model`: what is served, loaded, unloaded and scaled.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/quantity.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/views/message_json.h"
#include "scoville/v1/completions.pb.h"
#include "scoville/v1/pool.pb.h"

namespace scoville::client {
namespace {

int Models(Session& session) {
  const auto response = session.client().ListModels(session.call_options());
  if (!response.ok()) {
    return session.Fail(response.status(), "list models");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*response));
  }
  Table table({{.heading = "Model", .flexible = true},
               {.heading = "State"},
               {.heading = "Executor"},
               {.heading = "Context", .right = true},
               {.heading = "Vocabulary", .right = true},
               {.heading = "Parameters", .right = true, .optional = true},
               {.heading = "Chat template", .optional = true}});
  for (const v1::Model& model : response->models()) {
    table.AddRow({{model.id()},
                  {model.state(), model.state() == "ready" ? Style::kGreen : Style::kYellow},
                  {model.executor()},
                  {CountText(static_cast<int64_t>(model.context()))},
                  {CountText(static_cast<int64_t>(model.vocabulary()))},
                  {CompactText(static_cast<int64_t>(model.parameters()))},
                  {model.chat_template().empty() ? "-" : model.chat_template()}});
  }
  return Session::Print(table.Render(session.terminal())) ? kExitDone : kExitFailed;
}

constexpr char kUsage[] =
    "try `scoville model list`, `scoville model load NAME --card llama-3.1-8b --executor "
    "synthetic`, `scoville model scale NAME 4` "
    "or `scoville model unload NAME --wait`";

struct ModelWords {
  std::string action;
  std::string name;
  std::string path;
  std::string card;
  std::string executor;
  std::string profile;
  std::optional<uint32_t> devices;
  std::optional<uint32_t> chips;
  std::optional<uint64_t> kv_blocks;
  std::string cap;
  std::optional<uint32_t> count;
  std::string node;
  bool wait = false;
};

int Load(Session& session, const ModelWords& words) {
  v1::LoadModelRequest request;
  request.set_model(words.name);
  if (!words.path.empty()) {
    request.set_path(words.path);
  } else if (!words.card.empty()) {
    request.set_card(words.card);
  }
  request.set_executor(words.executor);
  request.set_profile(words.profile);
  request.set_devices(words.devices.value_or(0));
  request.set_chips_per_device(words.chips.value_or(0));
  request.set_kv_blocks(words.kv_blocks.value_or(0));
  if (!words.cap.empty()) {
    const absl::StatusOr<Power> cap = ParsePower(words.cap);
    if (!cap.ok()) {
      return Session::Misused(absl::StrCat("--cap-per-device: ", cap.status().message()), "");
    }
    request.set_cap_milliwatts_per_device(cap->value());
  }
  const auto answer = session.client().LoadModel(request, session.call_options());
  if (!answer.ok()) {
    return session.Fail(answer.status(), "load the model");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(answer->model()));
  }
  return Session::Print(absl::StrCat("Model ", answer->model().id(), ": ", answer->model().state(),
                                     " (", answer->model().executor(), ").\n"))
             ? kExitDone
             : kExitFailed;
}

// Until its devices are freed.
absl::Status WaitUntilGone(Session& session, const std::string& name) {
  v1::WatchPoolRequest request;
  request.set_interval_ns(100'000'000);
  return session.client().WatchPool(
      request, session.call_options(), [&](const v1::PoolState& pool) {
        return std::any_of(pool.devices().begin(), pool.devices().end(),
                           [&](const v1::Device& device) { return device.model() == name; });
      });
}

int Unload(Session& session, const ModelWords& words) {
  v1::UnloadModelRequest request;
  request.set_model(words.name);
  const auto answer = session.client().UnloadModel(request, session.call_options());
  if (!answer.ok()) {
    return session.Fail(answer.status(), "unload the model");
  }
  if (words.wait) {
    if (const absl::Status gone = WaitUntilGone(session, words.name); !gone.ok()) {
      return session.Fail(gone, "wait for the model to be gone");
    }
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*answer));
  }
  return Session::Print(
             absl::StrCat("Model ", words.name, ": ",
                          words.wait ? "gone"
                                     : absl::StrCat("takes no more requests, ",
                                                    answer->live_requests(), " go on to their end"),
                          ".\n"))
             ? kExitDone
             : kExitFailed;
}

// Until the devices that were told to go have gone.
absl::Status WaitUntilRemoved(Session& session, const std::string& name,
                              const v1::ScaleModelResponse& scaled) {
  v1::WatchPoolRequest request;
  request.set_interval_ns(100'000'000);
  const auto leaves = [&](const v1::Device& device) {
    return device.model() == name && device.state() != v1::DEVICE_STATE_REMOVED &&
           std::find(scaled.removed().begin(), scaled.removed().end(), device.id()) !=
               scaled.removed().end();
  };
  return session.client().WatchPool(
      request, session.call_options(), [&](const v1::PoolState& pool) {
        return std::any_of(pool.devices().begin(), pool.devices().end(), leaves);
      });
}

int Scale(Session& session, const ModelWords& words) {
  v1::ScaleModelRequest request;
  request.set_model(words.name);
  request.set_devices(*words.count);
  request.set_budget_node(words.node);
  const auto answer = session.client().ScaleModel(request, session.call_options());
  if (!answer.ok()) {
    return session.Fail(answer.status(), "scale the model");
  }
  if (words.wait && answer->removed_size() > 0) {
    if (const absl::Status gone = WaitUntilRemoved(session, words.name, *answer); !gone.ok()) {
      return session.Fail(gone, "wait for the devices to be gone");
    }
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*answer));
  }
  std::string text = absl::StrCat("Model ", words.name, ": ", answer->devices(),
                                  answer->devices() == 1 ? " device" : " devices");
  if (answer->added_size() > 0) {
    absl::StrAppend(&text, ", new: ", absl::StrJoin(answer->added(), ", "));
  }
  if (answer->removed_size() > 0) {
    absl::StrAppend(&text, words.wait ? ", gone: " : ", as soon as they are empty without: ",
                    absl::StrJoin(answer->removed(), ", "));
  }
  return Session::Print(absl::StrCat(text, ".\n")) ? kExitDone : kExitFailed;
}

int Model(Session& session, const ModelWords& words) {
  const bool load = words.action == "load";
  const bool load_options = !words.path.empty() || !words.card.empty() || !words.executor.empty() ||
                            !words.profile.empty() || words.devices || words.chips ||
                            words.kv_blocks || !words.cap.empty();
  if (load_options && !load) {
    return Session::Misused("these options belong to `scoville model load`", kUsage);
  }
  if (!words.path.empty() && !words.card.empty()) {
    return Session::Misused("--path and --card exclude each other", kUsage);
  }
  const bool scale = words.action == "scale";
  if (words.wait && words.action != "unload" && !scale) {
    return Session::Misused("--wait belongs to `scoville model unload` and `scale`", kUsage);
  }
  if (!scale && (words.count || !words.node.empty())) {
    return Session::Misused("a number of devices and --node belong to `scoville model scale`",
                            kUsage);
  }
  if (scale) {
    return words.count
               ? Scale(session, words)
               : Session::Misused("model scale takes a name and a number of devices", kUsage);
  }
  if (load) {
    return Load(session, words);
  }
  if (words.action == "unload") {
    return words.name.empty() ? Session::Misused("model unload takes a name", kUsage)
                              : Unload(session, words);
  }
  return words.name.empty() ? Models(session) : Session::Misused("too many words", kUsage);
}

}  // namespace

void DefineModels(CommandLine* line) {
  line->Add("models", "List the models that are served", "Completions",
            "  scoville models\n  scoville models --json\n")
      .Run(Models);
}

void DefineModel(CommandLine* line) {
  auto words = std::make_shared<ModelWords>();
  Command command = line->Add("model", "Show models, load, unload and scale them", "Pool",
                              "  scoville model list\n"
                              "  scoville model load small --path /models/small.gguf --devices 2\n"
                              "  scoville model scale small 4\n"
                              "  scoville model unload small --wait\n");
  command.Text("ACTION", &words->action, "list (default), load [NAME], unload NAME or scale NAME N")
      .OneOf({"list", "load", "unload", "scale"});
  command.Text("NAME", &words->name, "What requests call it (default: from the file or the card)");
  command.Number("N", &words->count, "With scale: how many devices it shall have");
  command.Text("--path", &words->path, "With load: a GGUF file on the daemon's machine");
  command.Text("--card", &words->card, "With load: a model that is only timed, by its card");
  command.Text("--executor", &words->executor, "With load (default: the daemon's)")
      .OneOf({"functional", "synthetic"});
  command.Text("--profile", &words->profile, "With load: the accelerator (default: the daemon's)");
  command.Number("--devices", &words->devices, "With load (default: the daemon's)");
  command.Number("--chips-per-device", &words->chips, "With load (default: the daemon's)");
  command.Number("--kv-blocks", &words->kv_blocks,
                 "With load: of each device (default: the daemon's)");
  command.Text("--cap-per-device", &words->cap, "With load: as 250W (default: the daemon's)");
  command.Text("--node", &words->node,
               "With scale: where new devices hang in the model's power budget");
  command.Flag("--wait", &words->wait,
               "With unload and scale: until the devices that go are freed");
  command.Run([words](Session& session) { return Model(session, *words); });
}

}  // namespace scoville::client
