#include "server/openai/json_fields.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace scoville::server {

namespace {

// Brackets outside strings, without building anything: a hostile body must not become a tree that
// deep.
int DepthOf(absl::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      i += c == '\\' ? 1 : 0;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

const char* KindOf(const nlohmann::json& value) { return value.type_name(); }

}  // namespace

std::optional<ServiceError> ParseJsonObject(absl::string_view text, int max_depth,
                                            nlohmann::json* out) {
  if (const int depth = DepthOf(text); depth > max_depth) {
    return InvalidField("body", absl::StrCat("is nested ", depth, " levels deep, at most ",
                                             max_depth, " are allowed"));
  }
  try {
    *out = nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& error) {
    // The library's text names the byte; what it quotes of the input may be any bytes.
    const auto* parse = dynamic_cast<const nlohmann::json::parse_error*>(&error);
    return InvalidField("body", parse == nullptr
                                    ? std::string("is not JSON")
                                    : absl::StrCat("is not JSON: error at byte ", parse->byte));
  }
  if (!out->is_object()) {
    return InvalidField("body", absl::StrCat("must be a JSON object, not ", KindOf(*out)));
  }
  return std::nullopt;
}

const nlohmann::json* JsonFields::Find(const std::string& name) {
  asked_.insert(name);
  const auto it = object_->find(name);
  return it == object_->end() || it->is_null() || error_ ? nullptr : &*it;
}

bool JsonFields::Read(const std::string& name, bool* out) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return false;
  }
  if (!value->is_boolean()) {
    Fail(name, absl::StrCat("must be true or false, not ", KindOf(*value)));
    return false;
  }
  *out = value->get<bool>();
  return true;
}

bool JsonFields::Read(const std::string& name, float* out) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return false;
  }
  const double number = value->is_number() ? value->get<double>() : 0;
  if (!value->is_number() || number > std::numeric_limits<float>::max() ||
      number < std::numeric_limits<float>::lowest()) {
    Fail(name, value->is_number() ? "is too large"
                                  : absl::StrCat("must be a number, not ", KindOf(*value)));
    return false;
  }
  *out = static_cast<float>(number);
  return true;
}

bool JsonFields::Read(const std::string& name, uint32_t* out) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return false;
  }
  if (!value->is_number_unsigned() ||
      value->get<uint64_t>() > std::numeric_limits<uint32_t>::max()) {
    Fail(name, "must be a whole number from 0 to 4294967295");
    return false;
  }
  *out = static_cast<uint32_t>(value->get<uint64_t>());
  return true;
}

bool JsonFields::ReadSeed(const std::string& name, uint64_t* out) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return false;
  }
  if (!value->is_number_integer()) {
    Fail(name, "must be a whole number of 64 bits");
    return false;
  }
  *out = value->is_number_unsigned() ? value->get<uint64_t>()
                                     : static_cast<uint64_t>(value->get<int64_t>());
  return true;
}

bool JsonFields::Read(const std::string& name, std::string* out) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return false;
  }
  if (!value->is_string()) {
    Fail(name, absl::StrCat("must be a string, not ", KindOf(*value)));
    return false;
  }
  *out = value->get<std::string>();
  return true;
}

bool JsonFields::Read(const std::string& name, std::vector<uint32_t>* out) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return false;
  }
  const bool list = value->is_array();
  if (!list || !std::all_of(value->begin(), value->end(), [](const nlohmann::json& id) {
        return id.is_number_unsigned() &&
               id.get<uint64_t>() <= std::numeric_limits<uint32_t>::max();
      })) {
    Fail(name, "must be a list of token ids");
    return false;
  }
  for (const nlohmann::json& id : *value) {
    out->push_back(static_cast<uint32_t>(id.get<uint64_t>()));
  }
  return true;
}

void JsonFields::RefuseUnless(const std::string& name, const nlohmann::json& harmless,
                              absl::string_view why) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr || *value == harmless || *value == nlohmann::json(false) ||
      *value == nlohmann::json(0) || (!value->is_primitive() && value->empty()) ||
      *value == nlohmann::json("")) {
    return;
  }
  Fail(UnsupportedFeature(prefix_ + name, why));
}

void JsonFields::Fail(const std::string& name, absl::string_view what) {
  Fail(InvalidField(prefix_ + name, what));
}

void JsonFields::Fail(ServiceError error) {
  if (!error_) {
    error_ = std::move(error);
  }
}

std::vector<std::string> JsonFields::Unknown(size_t limit) const {
  std::vector<std::string> out;
  for (const auto& [name, value] : object_->items()) {
    const bool plain = name.size() <= 64 && !name.empty() &&
                       std::all_of(name.begin(), name.end(), [](unsigned char c) {
                         return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
                       });
    if (plain && asked_.count(name) == 0 && out.size() < limit) {
      out.push_back(name);
    }
  }
  return out;
}

}  // namespace scoville::server
