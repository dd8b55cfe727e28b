#include "client/views/message_json.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace scoville::client {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

constexpr int kSingle = -1;

// DeviceState -> DEVICE_STATE_
std::string EnumPrefix(const EnumDescriptor& type) {
  std::string prefix;
  const std::string& name = type.name();
  for (size_t i = 0; i < name.size(); ++i) {
    if (i > 0 && absl::ascii_isupper(name[i]) && !absl::ascii_isupper(name[i - 1])) {
      prefix.push_back('_');
    }
    prefix.push_back(absl::ascii_toupper(name[i]));
  }
  return prefix + "_";
}

// A field's value, or element `i` of a repeated field, by the two spellings of reflection.
template <typename Single, typename Repeated>
auto Pick(int i, Single single, Repeated repeated) {
  return i == kSingle ? single() : repeated(i);
}

#define SCOVILLE_FIELD(type)                                   \
  Pick(                                                        \
      i, [&] { return reflection.Get##type(message, field); }, \
      [&](int at) { return reflection.GetRepeated##type(message, field, at); })

Json TextOrBytes(const FieldDescriptor& field, const std::string& value) {
  if (field.type() != FieldDescriptor::TYPE_BYTES) {
    return value;
  }
  Json bytes = Json::array();
  for (const char c : value) {
    bytes.push_back(static_cast<int>(static_cast<uint8_t>(c)));
  }
  return bytes;
}

Json FieldValue(const Message& message, const FieldDescriptor* field, int i) {
  const Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return SCOVILLE_FIELD(Int32);
    case FieldDescriptor::CPPTYPE_INT64:
      return SCOVILLE_FIELD(Int64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return SCOVILLE_FIELD(UInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return SCOVILLE_FIELD(UInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return SCOVILLE_FIELD(Double);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return SCOVILLE_FIELD(Float);
    case FieldDescriptor::CPPTYPE_BOOL:
      return SCOVILLE_FIELD(Bool);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(*field->enum_type(), SCOVILLE_FIELD(EnumValue));
    case FieldDescriptor::CPPTYPE_STRING:
      return TextOrBytes(*field, SCOVILLE_FIELD(String));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageToJson(i == kSingle ? reflection.GetMessage(message, field)
                                        : reflection.GetRepeatedMessage(message, field, i));
  }
  return Json();
}

#undef SCOVILLE_FIELD

// Entries of a map have key and value as fields 1 and 2.
Json MapValue(const Message& message, const FieldDescriptor* field) {
  const Reflection& reflection = *message.GetReflection();
  Json map = Json::object();
  std::map<std::string, Json> sorted;
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    const Json entry = MessageToJson(reflection.GetRepeatedMessage(message, field, i));
    const Json& key = entry["key"];
    sorted[key.is_string() ? key.get<std::string>() : key.dump()] = entry["value"];
  }
  for (auto& [key, value] : sorted) {
    map[key] = std::move(value);
  }
  return map;
}

}  // namespace

std::string EnumText(const EnumDescriptor& type, int value) {
  const auto* descriptor = type.FindValueByNumber(value);
  if (descriptor == nullptr) {
    return absl::StrCat(value);
  }
  const std::string prefix = EnumPrefix(type);
  return absl::AsciiStrToLower(absl::StripPrefix(descriptor->name(), prefix));
}

Json MessageToJson(const Message& message) {
  const auto& descriptor = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  if (descriptor.full_name() == "google.protobuf.Duration" ||
      descriptor.full_name() == "google.protobuf.Timestamp") {
    return static_cast<double>(reflection.GetInt64(message, descriptor.FindFieldByNumber(1))) +
           reflection.GetInt32(message, descriptor.FindFieldByNumber(2)) * 1e-9;
  }
  Json json = Json::object();
  for (int f = 0; f < descriptor.field_count(); ++f) {
    const FieldDescriptor* field = descriptor.field(f);
    if (field->is_map()) {
      json[field->name()] = MapValue(message, field);
    } else if (field->is_repeated()) {
      Json& list = json[field->name()] = Json::array();
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        list.push_back(FieldValue(message, field, i));
      }
    } else if (!field->has_presence() || reflection.HasField(message, field)) {
      json[field->name()] = FieldValue(message, field, kSingle);
    }
  }
  return json;
}

std::string JsonText(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace scoville::client
