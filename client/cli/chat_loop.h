// A conversation on a terminal: a line in, an answer out, the history kept.
//
// Ownership: borrows the session. Threading: the main thread. Errors: a failed call is reported and
// the conversation goes on without it.
#ifndef SCOVILLE_CLIENT_CLI_CHAT_LOOP_H_
#define SCOVILLE_CLIENT_CLI_CHAT_LOOP_H_

#include "client/cli/session.h"
#include "scoville/v1/completions.pb.h"

namespace scoville::client {

// `request` holds the parameters and a system message if there is one; returns the exit code.
int RunChatLoop(Session& session, v1::ChatRequest request, bool verbose);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_CLI_CHAT_LOOP_H_
