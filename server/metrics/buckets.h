// The edges of every histogram.
//
// The vLLM-compatible series use vLLM's edges, so that its dashboards and alert thresholds mean the
// same; the native ones start finer and contain vLLM's edges, so that one count serves both.
//
// Units: nanoseconds, tokens, microjoules. Ownership: constants.
#ifndef SCOVILLE_SERVER_METRICS_BUCKETS_H_
#define SCOVILLE_SERVER_METRICS_BUCKETS_H_

#include <cstdint>

#include "absl/types/span.h"

namespace scoville::server {

inline constexpr int64_t kMs = 1'000'000;

inline constexpr int64_t kVllmFirstTokenEdges[] = {
    1 * kMs,      5 * kMs,       10 * kMs,      20 * kMs,       40 * kMs,     60 * kMs,
    80 * kMs,     100 * kMs,     250 * kMs,     500 * kMs,      750 * kMs,    1000 * kMs,
    2500 * kMs,   5000 * kMs,    7500 * kMs,    10'000 * kMs,   20'000 * kMs, 40'000 * kMs,
    80'000 * kMs, 160'000 * kMs, 640'000 * kMs, 2'560'000 * kMs};
inline constexpr int64_t kFirstTokenEdges[] = {
    kMs / 2,      1 * kMs,      2 * kMs,      5 * kMs,       10 * kMs,      20 * kMs,
    40 * kMs,     60 * kMs,     80 * kMs,     100 * kMs,     250 * kMs,     500 * kMs,
    750 * kMs,    1000 * kMs,   2500 * kMs,   5000 * kMs,    7500 * kMs,    10'000 * kMs,
    20'000 * kMs, 40'000 * kMs, 80'000 * kMs, 160'000 * kMs, 640'000 * kMs, 2'560'000 * kMs};

inline constexpr int64_t kVllmTokenEdges[] = {
    10 * kMs,   25 * kMs,     50 * kMs,     75 * kMs,     100 * kMs,   150 * kMs,  200 * kMs,
    300 * kMs,  400 * kMs,    500 * kMs,    750 * kMs,    1000 * kMs,  2500 * kMs, 5000 * kMs,
    7500 * kMs, 10'000 * kMs, 20'000 * kMs, 40'000 * kMs, 80'000 * kMs};
inline constexpr int64_t kTokenEdges[] = {
    kMs / 5,    kMs / 2,    1 * kMs,      2 * kMs,      5 * kMs,      10 * kMs,
    25 * kMs,   50 * kMs,   75 * kMs,     100 * kMs,    150 * kMs,    200 * kMs,
    300 * kMs,  400 * kMs,  500 * kMs,    750 * kMs,    1000 * kMs,   2500 * kMs,
    5000 * kMs, 7500 * kMs, 10'000 * kMs, 20'000 * kMs, 40'000 * kMs, 80'000 * kMs};

inline constexpr int64_t kVllmPhaseEdges[] = {
    300 * kMs,     500 * kMs,       800 * kMs,      1000 * kMs,    1500 * kMs,    2000 * kMs,
    2500 * kMs,    5000 * kMs,      10'000 * kMs,   15'000 * kMs,  20'000 * kMs,  30'000 * kMs,
    40'000 * kMs,  50'000 * kMs,    60'000 * kMs,   120'000 * kMs, 240'000 * kMs, 480'000 * kMs,
    960'000 * kMs, 1'920'000 * kMs, 7'680'000 * kMs};
inline constexpr int64_t kPhaseEdges[] = {
    1 * kMs,         3 * kMs,        10 * kMs,      30 * kMs,      100 * kMs,     300 * kMs,
    500 * kMs,       800 * kMs,      1000 * kMs,    1500 * kMs,    2000 * kMs,    2500 * kMs,
    5000 * kMs,      10'000 * kMs,   15'000 * kMs,  20'000 * kMs,  30'000 * kMs,  40'000 * kMs,
    50'000 * kMs,    60'000 * kMs,   120'000 * kMs, 240'000 * kMs, 480'000 * kMs, 960'000 * kMs,
    1'920'000 * kMs, 7'680'000 * kMs};

// Steps of an emulated device: microseconds to tenths of a second.
inline constexpr int64_t kStepEdges[] = {kMs / 20,  kMs / 10,  kMs / 5,   kMs / 2,   1 * kMs,
                                         2 * kMs,   5 * kMs,   10 * kMs,  20 * kMs,  50 * kMs,
                                         100 * kMs, 200 * kMs, 500 * kMs, 1000 * kMs};

inline constexpr int64_t kCountEdges[] = {1,   2,    5,    10,   20,    50,    100,   200,
                                          500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
inline constexpr int64_t kBatchEdges[] = {1,   8,    16,   32,   64,   128,  256,
                                          512, 1024, 2048, 4096, 8192, 16384};

// 1 mJ to 10 kJ a request; 10 uJ to 100 J a token.
inline constexpr int64_t kRequestEnergyEdges[] = {
    1'000,       3'000,       10'000,        30'000,        100'000,
    300'000,     1'000'000,   3'000'000,     10'000'000,    30'000'000,
    100'000'000, 300'000'000, 1'000'000'000, 3'000'000'000, 10'000'000'000};
inline constexpr int64_t kTokenEnergyEdges[] = {
    10,      30,      100,       300,       1'000,      3'000,      10'000,     30'000,
    100'000, 300'000, 1'000'000, 3'000'000, 10'000'000, 30'000'000, 100'000'000};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_BUCKETS_H_
