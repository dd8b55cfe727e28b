// A protobuf message as JSON for scripts: the contract's own field names, numbers as numbers.
//
// Differs from protobuf's JSON mapping in what makes that one hard to script with: 64-bit integers
// are numbers and not strings, every field is there whether zero or not, enum values stand without
// their type's prefix in lower case ("ready"), a google.protobuf.Duration is a number of seconds,
// bytes are an array of numbers.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_CLIENT_VIEWS_MESSAGE_JSON_H_
#define SCOVILLE_CLIENT_VIEWS_MESSAGE_JSON_H_

#include <string>

#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace scoville::client {

nlohmann::ordered_json MessageToJson(const google::protobuf::Message& message);

// An enum value without its type's prefix, in lower case: DEVICE_STATE_READY -> "ready". Takes the
// generated descriptor.
std::string EnumText(const google::protobuf::EnumDescriptor& type, int value);

// Two blanks of indentation and a newline at the end; text that is not UTF-8 is replaced.
std::string JsonText(const nlohmann::ordered_json& json);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_VIEWS_MESSAGE_JSON_H_
