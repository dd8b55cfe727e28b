#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/cli/error_report.h"
#include "client/cli/exit_codes.h"
#include "client/library/error_detail.h"
#include "client/views/message_json.h"
#include "client/views/pool_view.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "scoville/v1/completions.pb.h"
#include "scoville/v1/pool.pb.h"
#include "tests/unit/client/run_cli.h"

namespace scoville::client {
namespace {

using testing::HasSubstr;
using testing::Not;

absl::Status Failure(absl::StatusCode code, const std::string& reason, bool retry) {
  google::rpc::Status status;
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  status.add_details()->PackFrom(info);
  if (retry) {
    google::rpc::RetryInfo when;
    when.mutable_retry_delay()->set_seconds(2);
    status.add_details()->PackFrom(when);
  }
  return MakeCallStatus(code, "max_running is 256", status.SerializeAsString(), "r-1");
}

TEST(ErrorReport, ExitCodesSayWhatAScriptShouldDo) {
  const auto code = [](absl::StatusCode c, const char* reason, bool retry) {
    return ExitCodeOf(Failure(c, reason, retry));
  };
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("connection refused")), 69);
  EXPECT_EQ(code(absl::StatusCode::kUnavailable, "SERVER_DRAINING", true), 75);
  EXPECT_EQ(code(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", true), 75);
  EXPECT_EQ(code(absl::StatusCode::kResourceExhausted, "BODY_TOO_LARGE", false), 1);
  EXPECT_EQ(code(absl::StatusCode::kPermissionDenied, "SCOPE_DENIED", false), 77);
  EXPECT_EQ(code(absl::StatusCode::kInvalidArgument, "INVALID_FIELD", false), 1);
  EXPECT_EQ(code(absl::StatusCode::kCancelled, "CANCELLED", false), 130);
}

TEST(ErrorReport, SaysWhatFailedWhyAndWhatNext) {
  const std::string text = ErrorText(
      Failure(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", true), "chat", "127.0.0.1:1");
  EXPECT_THAT(text, HasSubstr("scoville: chat: max_running is 256\n"));
  EXPECT_THAT(text, HasSubstr("hint: the daemon is busy; try again in 2.00 s\n"));
  EXPECT_THAT(text, HasSubstr("request: r-1\n"));
  const std::string unreachable =
      ErrorText(absl::UnavailableError("connection refused"), "chat", "127.0.0.1:1");
  EXPECT_THAT(unreachable, HasSubstr("no daemon answers at 127.0.0.1:1"));
  EXPECT_THAT(unreachable, HasSubstr("hint: start the daemon"));
}

TEST(ErrorReport, JsonHasTheSameFacts) {
  const auto json = nlohmann::json::parse(
      ErrorJson(Failure(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", true)));
  EXPECT_EQ(json["error"]["reason"], "QUEUE_FULL");
  EXPECT_EQ(json["error"]["code"], "RESOURCE_EXHAUSTED");
  EXPECT_EQ(json["error"]["retry_after_ms"], 2000);
  EXPECT_EQ(json["error"]["request_id"], "r-1");
}

TEST(MessageJson, NumbersAreNumbersAndZeroIsThere) {
  v1::Final last;
  last.set_seed(18446744073709551615u);
  last.mutable_energy()->mutable_total()->set_microjoules(1LL << 60);
  last.add_choices()->set_finish_reason(v1::FINISH_REASON_STOP);
  last.add_devices(0);
  const auto json = MessageToJson(last);
  EXPECT_EQ(json["seed"], 18446744073709551615u);
  EXPECT_EQ(json["energy"]["total"]["microjoules"], 1LL << 60);
  EXPECT_EQ(json["energy"]["total"]["picojoules"], 0);
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["devices"].dump(), "[0]");
  EXPECT_FALSE(json["energy"].contains("waste"));  // a message that was not sent
}

TEST(MessageJson, MapsBytesAndUnknownEnumValues) {
  v1::GenerateRequest request;
  (*request.mutable_sampling()->mutable_logit_bias())[7] = -1.5f;
  const auto json = MessageToJson(request);
  EXPECT_EQ(json["sampling"]["logit_bias"]["7"], -1.5);
  EXPECT_FALSE(json["sampling"].contains("temperature"));  // unset is not zero
  v1::DetokenizeResponse response;
  response.set_text("A\xFF");
  EXPECT_EQ(MessageToJson(response)["text"].dump(), "[65,255]");
  v1::ChoiceEnd end;
  end.set_finish_reason(static_cast<v1::FinishReason>(99));
  EXPECT_EQ(MessageToJson(end)["finish_reason"], "99");
}

TEST(MessageJson, TextThatIsNotUtf8IsReplaced) {
  EXPECT_EQ(nlohmann::json::parse(JsonText({{"text", "a\xFF"}}))["text"], "a\xEF\xBF\xBD");
}

v1::PoolState PoolAt(double seconds, uint64_t tokens, int64_t joules) {
  v1::PoolState pool;
  pool.set_uptime_ns(static_cast<int64_t>(seconds * 1e9));
  pool.set_emulated(true);
  pool.set_budget_milliwatts(1'400'000);
  pool.set_waiting(3);
  for (uint32_t id = 0; id < 2; ++id) {
    v1::Device* device = pool.add_devices();
    device->set_id(id);
    device->set_profile("jalapeno-gen1");
    device->set_state(v1::DEVICE_STATE_READY);
    device->set_power_milliwatts(350'000);
    device->set_cap_milliwatts(700'000);
    device->set_output_tokens(id == 0 ? tokens : 0);
    device->mutable_energy()->mutable_decode()->set_microjoules(id == 0 ? joules * 1'000'000 : 0);
    device->mutable_energy()->mutable_idle()->set_microjoules(joules * 1'000'000);
  }
  return pool;
}

TEST(PoolView, RatesAreDifferencesOverTheDaemonsTime) {
  const auto json = PoolJson(PoolAt(10, 1000, 40), PoolAt(12, 1600, 50));
  EXPECT_DOUBLE_EQ(json["output_tokens_per_second"], 300);  // 600 in 2 s
  EXPECT_DOUBLE_EQ(json["output_tokens_per_joule"], 20);    // 600 for 3 x 10 J
  EXPECT_DOUBLE_EQ(json["devices"][0]["joules_per_output_token"], 20.0 / 600);
  EXPECT_EQ(json["devices"][0]["state"], "ready");
  EXPECT_DOUBLE_EQ(json["devices"][1]["output_tokens_per_second"], 0);
  EXPECT_TRUE(json["devices"][1]["joules_per_output_token"].is_null());
}

TEST(PoolView, TableSaysTheBasisAndThatItIsEmulated) {
  const std::string text = PoolText(PoolAt(10, 1000, 40), PoolAt(12, 1600, 50), Terminal());
  EXPECT_THAT(text, HasSubstr("EMULATED"));
  EXPECT_THAT(text, HasSubstr("700 / 1400 W"));
  EXPECT_THAT(text, HasSubstr("300 tokens/s"));
  EXPECT_THAT(text, HasSubstr("20.0 tokens/s/W"));
  EXPECT_THAT(text, HasSubstr("waiting 3"));
  EXPECT_THAT(text, HasSubstr("350 / 700 W"));
  EXPECT_THAT(text, HasSubstr("idle energy included"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  // Nothing between two looks at the same instant.
  EXPECT_THAT(PoolText(PoolAt(10, 1, 1), PoolAt(10, 1, 1), Terminal()), Not(HasSubstr("nan")));
}

TEST(CommandLine, MistypedNamesGetTheNearest) {
  EXPECT_EQ(RunWords({"modles"}).exit_code, kExitUsage);
  EXPECT_THAT(RunWords({"modles"}).err,
              HasSubstr("unknown command: modles; did you mean 'models'?"));
  EXPECT_THAT(RunWords({"run", "--sytem", "x"}).err, HasSubstr("did you mean '--system'?"));
  EXPECT_THAT(RunWords({"pool", "extra"}).err, HasSubstr("one argument too many: 'extra'"));
  EXPECT_THAT(RunWords({"health", "--timeout", "5"}).err, HasSubstr("unit"));
  EXPECT_EQ(RunWords({"health", "--live", "--ready"}).exit_code, kExitUsage);
  EXPECT_EQ(RunWords({"pool", "-l", "0"}).exit_code, kExitUsage);
  EXPECT_EQ(RunWords({}).exit_code, kExitUsage);
}

TEST(CommandLine, HelpAndVersionSucceed) {
  EXPECT_EQ(RunWords({"--help"}).exit_code, 0);
  EXPECT_THAT(RunWords({"--help"}).out, HasSubstr("Exit codes"));
  EXPECT_THAT(RunWords({"run", "--help"}).out, HasSubstr("SCOVILLE_ADDRESS"));
  EXPECT_THAT(RunWords({"--version"}).out, HasSubstr("scoville "));
}

TEST(CommandLine, ProfilesAndCardsNeedNoDaemon) {
  EXPECT_THAT(RunWords({"profile", "show"}).out, HasSubstr("jalapeno-gen1"));
  EXPECT_THAT(RunWords({"profile", "show", "h100-sxm", "--json"}).out,
              HasSubstr("\"hbm_bandwidth\""));
  EXPECT_EQ(RunWords({"profile", "check", "no-such"}).exit_code, kExitFailed);
  EXPECT_THAT(RunWords({"profile", "check", "no-such"}).err, HasSubstr("no built-in profile"));
  EXPECT_EQ(RunWords({"profile", "diff", "h100-sxm"}).exit_code, kExitUsage);
  EXPECT_EQ(RunWords({"profile", "weigh"}).exit_code, kExitUsage);
  EXPECT_THAT(RunWords({"card", "show", "qwen3-8b", "--profile", "h100-sxm", "--chips", "2"}).out,
              HasSubstr("On 2 x h100-sxm"));
}

TEST(CommandLine, CompletionKnowsEveryCommand) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Said outcome = RunWords({"completion", shell});
    EXPECT_EQ(outcome.exit_code, 0);
    for (const char* word : {"run", "models", "tokenize", "pool", "explain", "health"}) {
      EXPECT_THAT(outcome.out, HasSubstr(word)) << shell;
    }
  }
  EXPECT_EQ(RunWords({"completion", "tcsh"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace scoville::client
