// One core, two shells: the daemon and the simulator give the same requests the same tokens.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/daemon_test.h"
#include "tests/support/child_process.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {
namespace {

using Json = nlohmann::json;

struct Asked {
  std::string id;
  std::string chat;
  uint32_t max_tokens;
  float temperature;
  uint64_t seed;
};

const std::vector<Asked>& Questions() {
  static const std::vector<Asked> asked = {{"greedy", "Why is fire hot?", 40, 0.0f, 1},
                                           {"warm", "Name a pepper.", 60, 0.8f, 7},
                                           {"hot", "And another one, please.", 25, 1.5f, 99}};
  return asked;
}

// By request id.
using Tokens = std::map<std::string, std::vector<uint32_t>>;

Tokens FromSimulator(const std::string& directory, const std::string& model) {
  const std::string scenario = absl::StrCat(directory, "/scenario.yaml");
  std::ofstream out(scenario);
  out << "name: same tokens\nmodel: " << model
      << "\npool: {devices: 3, executor: functional, kv_blocks: 64}\nrequests:\n";
  for (const Asked& asked : Questions()) {
    out << "  - {id: " << asked.id << ", chat: \"" << asked.chat
        << "\", max_tokens: " << asked.max_tokens << ", temperature: " << asked.temperature
        << ", seed: " << asked.seed << "}\n";
  }
  out.close();
  const std::string answers = absl::StrCat(directory, "/answers.jsonl");
  const ProgramResult run =
      RunProgram({ProgramPath("scoville-sim"), "run", scenario, "--requests", answers});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  Tokens tokens;
  std::istringstream lines(ReadWholeFile(answers));
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line);
    if (json.contains("tokens")) {
      tokens[json["request_id"]] = json["tokens"].get<std::vector<uint32_t>>();
    }
  }
  return tokens;
}

class SameTokensTest : public DaemonTest {
 protected:
  Tokens FromDaemon() {
    Tokens tokens;
    for (const Asked& asked : Questions()) {
      v1::ChatRequest request;
      v1::ChatMessage* message = request.add_messages();
      message->set_role("user");
      message->set_content(asked.chat);
      request.mutable_stop()->set_max_tokens(asked.max_tokens);
      request.mutable_sampling()->set_temperature(asked.temperature);
      request.mutable_sampling()->set_seed(asked.seed);
      request.mutable_output()->set_token_ids(true);
      std::vector<uint32_t>& ids = tokens[asked.id];
      const auto last = client().Chat(request, {}, [&](const v1::Chunk& chunk) {
        ids.insert(ids.end(), chunk.token_ids().begin(), chunk.token_ids().end());
        return true;
      });
      EXPECT_TRUE(last.ok()) << last.status();
    }
    return tokens;
  }
};

TEST_F(SameTokensTest, InTheDaemonAndInTheSimulator) {
  const std::string directory = MakeTempDir();
  const std::string model = WriteTinyModel(directory, 5);
  StartDaemon({.model_path = model, .devices = 1});
  const Tokens served = FromDaemon();
  const Tokens simulated = FromSimulator(directory, model);
  ASSERT_EQ(simulated.size(), Questions().size());
  EXPECT_EQ(served, simulated);
  for (const auto& [id, tokens] : served) EXPECT_FALSE(tokens.empty()) << id;
}

}  // namespace
}  // namespace scoville::tests
