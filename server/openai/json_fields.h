// Reads typed fields of a JSON object and remembers which names were asked for, so that the rest
// can be named as ignored.
//
// Null counts as absent, as OpenAI's clients mean it.
//
// Ownership: borrows the object. Threading: one thread. Errors: the first wrong field is kept;
// every later read does nothing.
#ifndef SCOVILLE_SERVER_OPENAI_JSON_FIELDS_H_
#define SCOVILLE_SERVER_OPENAI_JSON_FIELDS_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/errors/service_error.h"

namespace scoville::server {

// Parses an object of at most `max_depth` nested levels.
std::optional<ServiceError> ParseJsonObject(absl::string_view text, int max_depth,
                                            nlohmann::json* out);

class JsonFields {
 public:
  // `prefix` stands before field names in errors.
  JsonFields(const nlohmann::json* object, std::string prefix)
      : object_(object), prefix_(std::move(prefix)) {}

  // The value, or null when absent or null.
  const nlohmann::json* Find(const std::string& name);

  // Each: false when absent or wrong.
  bool Read(const std::string& name, bool* out);
  bool Read(const std::string& name, float* out);
  bool Read(const std::string& name, uint32_t* out);
  // Any integer of 64 bits; a negative one as two's complement.
  bool ReadSeed(const std::string& name, uint64_t* out);
  bool Read(const std::string& name, std::string* out);
  // A list of token ids.
  bool Read(const std::string& name, std::vector<uint32_t>* out);

  // Refuses the field unless it is absent, null, false, 0, empty or equal to `harmless`.
  void RefuseUnless(const std::string& name, const nlohmann::json& harmless, absl::string_view why);

  void Fail(const std::string& name, absl::string_view what);
  void Fail(ServiceError error);
  const std::optional<ServiceError>& error() const { return error_; }

  // Names nobody asked for, in alphabetical order; at most `limit`, none longer than 64 bytes or
  // with other characters than letters, digits, '_', '-' and '.'.
  std::vector<std::string> Unknown(size_t limit) const;

 private:
  const nlohmann::json* const object_;
  const std::string prefix_;
  std::set<std::string> asked_;
  std::optional<ServiceError> error_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_OPENAI_JSON_FIELDS_H_
