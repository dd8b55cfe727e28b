// What the program's end tells a script (the numbers of sysexits.h where one fits).
#ifndef SCOVILLE_CLIENT_CLI_EXIT_CODES_H_
#define SCOVILLE_CLIENT_CLI_EXIT_CODES_H_

namespace scoville::client {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 69;  // nothing answers at the address
inline constexpr int kExitRefused = 75;      // not now; trying later can help
inline constexpr int kExitNotAllowed = 77;
inline constexpr int kExitInterrupted = 130;

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_CLI_EXIT_CODES_H_
