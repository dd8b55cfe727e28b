// Budgets, caps and the answers to power requests as text.
//
// Units: watts in the text, from the messages' milliwatts. Ownership: plain values. Threading: pure
// functions. Errors: none.
#ifndef SCOVILLE_CLIENT_VIEWS_POWER_VIEW_H_
#define SCOVILLE_CLIENT_VIEWS_POWER_VIEW_H_

#include <string>

#include "client/terminal/terminal.h"
#include "scoville/v1/power.pb.h"

namespace scoville::client {

// The budget tree, the devices, and the ladder as it could be used from here.
std::string PowerBudgetText(const v1::GetPowerBudgetResponse& state, const Terminal& terminal);

// What a budget means; `dry`: nothing was asked to change.
std::string PowerAnswerText(const v1::SetPowerBudgetResponse& answer, bool dry,
                            const Terminal& terminal);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_VIEWS_POWER_VIEW_H_
