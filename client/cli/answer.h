// One answer on its way to the user: text as it comes, then what it cost.
//
// Ownership: on the stack of the command. Threading: the calling thread; Ctrl-C reaches in through
// the session's watcher. Errors: Run gives the call's status.
#ifndef SCOVILLE_CLIENT_CLI_ANSWER_H_
#define SCOVILLE_CLIENT_CLI_ANSWER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/session.h"
#include "nlohmann/json_fwd.hpp"
#include "scoville/v1/completions.pb.h"

namespace scoville::client {

class Answer {
 public:
  // `stream`: print the text while it comes; that of several choices when all have come, one after
  // the other.
  Answer(Session* session, bool stream, uint32_t choices = 1)
      : session_(session), stream_(stream), texts_(choices) {}

  // Ctrl-C cancels the call (CANCELLED); a second one, should the first not help, ends the program.
  absl::Status Chat(const v1::ChatRequest& request);
  absl::Status Generate(const v1::GenerateRequest& request);

  // Of the first choice.
  const std::string& text() const { return texts_.front(); }
  // After OK: one line of counts, times and joules with their bases.
  std::string Summary() const;
  // After OK: text, derived figures and the daemon's final message.
  nlohmann::ordered_json Json() const;

 private:
  template <typename Call>
  absl::Status Run(const Call& call);
  bool OnChunk(const v1::Chunk& chunk);
  void PrintChoices();
  double Joules() const;
  double TokensPerSecond() const;

  Session* const session_;
  const bool stream_;
  std::vector<std::string> texts_;  // by choice
  v1::Final final_;
  bool reader_gone_ = false;
  absl::Time start_;
  absl::Time first_;  // chunk with a token
  absl::Time last_;
  uint64_t first_tokens_ = 0;  // that came with the first
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_CLI_ANSWER_H_
