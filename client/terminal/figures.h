// Figures as people read them: three significant digits and a unit.
//
// Units: in the names of the parameters. Threading: pure functions. Errors: none; a value that does
// not exist (0 / 0) is written as "-".
#ifndef SCOVILLE_CLIENT_TERMINAL_FIGURES_H_
#define SCOVILLE_CLIENT_TERMINAL_FIGURES_H_

#include <cstdint>
#include <string>

namespace scoville::client {

std::string JoulesText(double joules);    // "12.3 mJ"
std::string WattsText(double watts);      // "345 W", "1.25 kW"
std::string SecondsText(double seconds);  // "85.2 ms"
std::string HertzText(double hertz);      // "1.40 GHz"
std::string RateText(double per_second);  // "1,234", "12.3"; "-" if not finite
std::string CountText(int64_t count);     // "12,345"
std::string CompactText(int64_t count);   // "12.3k"
// a / b; "-" when b is 0.
std::string QuotientText(double a, double b);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_TERMINAL_FIGURES_H_
