// `scoville device`: devices shown, taken out, taken back.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/views/message_json.h"
#include "client/views/pool_view.h"
#include "scoville/v1/pool.pb.h"

namespace scoville::client {
namespace {

constexpr char kUsage[] =
    "try `scoville device list`, `scoville device drain 2 --migrate`, `scoville device return 2` "
    "or `scoville device fence 2`";

struct DeviceWords {
  std::string action;
  std::vector<std::string> words;
  bool migrate = false;
  std::string model;
  std::optional<uint32_t> percent;
  std::optional<uint32_t> first_page;
  std::optional<uint32_t> pages;
};

int List(Session& session) {
  const auto pool = session.client().GetPool(v1::GetPoolRequest(), session.call_options());
  if (!pool.ok()) {
    return session.Fail(pool.status(), "list devices");
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(*pool)["devices"]);
  }
  return Session::Print(DevicesText(*pool, session.terminal())) ? kExitDone : kExitFailed;
}

std::string After(const v1::Device& device) {
  std::string text = absl::StrCat("Device ", device.id(), ": ",
                                  EnumText(*v1::DeviceState_descriptor(), device.state()));
  if (device.running() > 0) {
    absl::StrAppend(&text, ", ", device.running(), " sequences still on it");
  }
  return text + ".\n";
}

template <typename Response>
int Answer(Session& session, const absl::StatusOr<Response>& answer, absl::string_view what) {
  if (!answer.ok()) {
    return session.Fail(answer.status(), what);
  }
  if (session.json()) {
    return session.PrintJson(MessageToJson(answer->device()));
  }
  return Session::Print(After(answer->device())) ? kExitDone : kExitFailed;
}

std::optional<v1::FaultKind> FaultKindOf(absl::string_view word) {
  if (word == "kill") return v1::FAULT_KIND_KILL;
  if (word == "hang") return v1::FAULT_KIND_HANG;
  if (word == "slow") return v1::FAULT_KIND_SLOW;
  if (word == "lose-pages") return v1::FAULT_KIND_LOSE_PAGES;
  return std::nullopt;
}

int Fault(Session& session, const DeviceWords& words, uint32_t device) {
  const std::optional<v1::FaultKind> kind =
      words.words.size() == 2 ? FaultKindOf(words.words[1]) : std::nullopt;
  if (!kind) {
    return Session::Misused(
        "device fault takes a device's number and kill, hang, slow or lose-pages",
        "try `scoville device fault 2 kill` or `scoville device fault 2 slow --percent 300`");
  }
  v1::InjectFaultRequest request;
  request.set_device(device);
  request.set_model(words.model);
  request.set_kind(*kind);
  request.set_percent(words.percent.value_or(0));
  request.set_first_page(words.first_page.value_or(0));
  request.set_pages(words.pages.value_or(0));
  return Answer(session, session.client().InjectFault(request, session.call_options()),
                "inject the fault");
}

int OnDevice(Session& session, const DeviceWords& words) {
  uint32_t device = 0;
  const bool fault = words.action == "fault";
  if (words.words.empty() || !absl::SimpleAtoi(words.words[0], &device) ||
      (!fault && words.words.size() != 1)) {
    return Session::Misused(absl::StrCat("device ", words.action, " takes a device's number"),
                            kUsage);
  }
  if (fault) {
    return Fault(session, words, device);
  }
  const CallOptions options = session.call_options();
  if (words.action == "drain") {
    v1::DrainDeviceRequest request;
    request.set_device(device);
    request.set_model(words.model);
    request.set_migrate(words.migrate);
    return Answer(session, session.client().DrainDevice(request, options), "drain the device");
  }
  if (words.action == "return") {
    v1::ReturnDeviceRequest request;
    request.set_device(device);
    request.set_model(words.model);
    return Answer(session, session.client().ReturnDevice(request, options), "return the device");
  }
  v1::FenceDeviceRequest request;
  request.set_device(device);
  request.set_model(words.model);
  return Answer(session, session.client().FenceDevice(request, options), "fence the device");
}

int Run(Session& session, const DeviceWords& words) {
  if (words.migrate && words.action != "drain") {
    return Session::Misused("--migrate belongs to `scoville device drain`", kUsage);
  }
  if ((words.percent || words.first_page || words.pages) && words.action != "fault") {
    return Session::Misused("--percent, --first-page and --pages belong to `scoville device fault`",
                            kUsage);
  }
  if (words.action.empty() || words.action == "list") {
    return words.words.empty() ? List(session) : Session::Misused("too many words", kUsage);
  }
  return OnDevice(session, words);
}

}  // namespace

void DefineDevice(CommandLine* line) {
  auto words = std::make_shared<DeviceWords>();
  Command command = line->Add("device", "Show devices, take them out and back", "Pool",
                              "  scoville device list\n"
                              "  scoville device drain 2 --migrate\n"
                              "  scoville device return 2\n"
                              "  scoville device fence 2\n"
                              "  scoville device fault 2 slow --percent 300\n");
  command
      .Text("ACTION", &words->action,
            "list (default); drain, return or fence DEVICE; or fault DEVICE "
            "kill|hang|slow|lose-pages, if the daemon takes it")
      .OneOf({"list", "drain", "return", "fence", "fault"});
  command.Texts("WORD", &words->words, "The device's number, and the kind of fault");
  command.Flag("--migrate", &words->migrate,
               "With drain: move what runs instead of letting it end there");
  command.Text("--model", &words->model, "Whose device (default: the only model's)");
  command.Number("--percent", &words->percent,
                 "With fault slow: time of its steps, 100 (as it should be) to 100000");
  command.Number("--first-page", &words->first_page, "With fault lose-pages (default: 0)");
  command.Number("--pages", &words->pages, "With fault lose-pages: how many");
  command.Run([words](Session& session) { return Run(session, *words); });
}

}  // namespace scoville::client
