// Whether a JSON value meets a JSON schema, by the specification's words, one keyword after
// another.
//
// The slow and obvious yardstick for model/grammar: it knows the keywords that are served there and
// shares no code with it; patterns go through std::regex (ASCII). Threading: pure. Errors: an
// unknown keyword is a CHECK, so that no test passes because nobody looked.
#ifndef SCOVILLE_TESTS_REFERENCE_JSON_SCHEMA_ORACLE_H_
#define SCOVILLE_TESTS_REFERENCE_JSON_SCHEMA_ORACLE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace scoville::tests {

using OrderedJson = nlohmann::ordered_json;

bool MeetsSchema(const OrderedJson& value, const OrderedJson& schema, const OrderedJson& root);

// A value that meets the schema, members in its order, decided by the seed; of schemas that
// RandomSchema makes.
OrderedJson RandomValue(const OrderedJson& schema, const OrderedJson& root, uint64_t seed);

// A schema of the keywords above, nested up to `depth`, decided by the seed.
OrderedJson RandomSchema(uint64_t seed, int depth);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_JSON_SCHEMA_ORACLE_H_
