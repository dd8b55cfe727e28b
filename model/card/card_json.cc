#include "model/card/card_json.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"

namespace scoville::model::internal {

namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr int kMaxDepth = 32;

// Hands the parser its input and tells how far it has come, which its callbacks do not.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  const char& operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = std::max(*reached_, ++at_);
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

std::string PlaceOf(absl::string_view text, size_t offset) {
  size_t line = 1;
  size_t column = 1;
  for (size_t i = 0; i < offset && i < text.size(); ++i) {
    const bool ends = text[i] == '\n';
    line += ends ? 1 : 0;
    column = ends ? 1 : column + 1;
  }
  return absl::StrCat(line, ":", column);
}

std::string Joined(absl::string_view path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

// Follows the parser: where each key stands, and what must not be.
class Watcher {
 public:
  explicit Watcher(absl::string_view text) : text_(text), reached_(text.data()) {}

  const char** reached() { return &reached_; }
  const std::optional<std::string>& complaint() const { return complaint_; }
  std::map<std::string, std::string>&& places() { return std::move(places_); }

  bool See(int depth, nlohmann::json::parse_event_t event, const nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      levels_.push_back({levels_.empty() ? "" : Joined(levels_.back().path, last_key_), {}});
      if (depth >= kMaxDepth) {
        Complain(reached_, absl::StrCat("nested deeper than ", kMaxDepth, " levels"));
        return false;
      }
    } else if (event == Event::object_end || event == Event::array_end) {
      levels_.pop_back();
    } else if (event == Event::key && !levels_.empty()) {
      last_key_ = value.get_ref<const std::string&>();
      // The key with its quotes has just been read.
      const size_t length =
          std::min(last_key_.size() + 2, static_cast<size_t>(reached_ - text_.data()));
      if (!levels_.back().keys.insert(last_key_).second) {
        Complain(reached_ - length, absl::StrCat("the key '", last_key_, "' stands here again"));
      }
      places_.emplace(Joined(levels_.back().path, last_key_),
                      PlaceOf(text_, static_cast<size_t>(reached_ - text_.data()) - length));
    }
    return true;
  }

 private:
  struct Level {
    std::string path;
    std::set<std::string> keys;
  };

  void Complain(const char* at, absl::string_view what) {
    if (!complaint_) {
      complaint_ = absl::StrCat(PlaceOf(text_, static_cast<size_t>(at - text_.data())), ": ", what);
    }
  }

  absl::string_view text_;
  const char* reached_;
  std::vector<Level> levels_;
  std::string last_key_;
  std::map<std::string, std::string> places_;
  std::optional<std::string> complaint_;
};

}  // namespace

absl::StatusOr<CardDocument> CardDocument::Parse(absl::string_view text, absl::string_view file) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": has more than ", kMaxBytes,
                                                   " bytes; a config.json has a few thousand"));
  }
  CardDocument document;
  document.file_ = std::string(file);
  Watcher watcher(text);
  const CountingIterator begin(text.data(), watcher.reached());
  const CountingIterator end(text.data() + text.size(), watcher.reached());
  try {
    document.root_ = nlohmann::json::parse(
        begin, end,
        [&watcher](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
          return watcher.See(depth, event, value);
        });
  } catch (const nlohmann::json::parse_error& error) {
    const size_t byte = error.byte > 0 ? error.byte - 1 : 0;
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", PlaceOf(text, byte), ": this is not JSON from here on"));
  } catch (const nlohmann::json::exception&) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": holds a number beyond all bounds"));
  }
  if (watcher.complaint()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ":", *watcher.complaint()));
  }
  if (!document.root_.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":1:1: expected a JSON object, found ", document.root_.type_name()));
  }
  document.places_ = watcher.places();
  return document;
}

CardFields CardDocument::Root() const { return CardFields(this, &root_, ""); }

absl::Status CardDocument::Error(const std::string& path, absl::string_view what) const {
  const auto place = places_.find(path);
  return absl::InvalidArgumentError(
      absl::StrCat(file_, place == places_.end() ? "" : absl::StrCat(":", place->second), ": ",
                   path, path.empty() ? "" : ": ", what));
}

const nlohmann::json* CardFields::Find(const char* name) const {
  if (object_ == nullptr) {
    return nullptr;
  }
  const auto it = object_->find(name);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

absl::Status CardFields::Error(absl::string_view field, absl::string_view what) const {
  return document_->Error(Joined(path_, field), what);
}

absl::Status CardFields::WrongKind(const char* name, absl::string_view wanted) const {
  return Error(name, absl::StrCat("expected ", wanted, ", found ", Find(name)->type_name()));
}

absl::StatusOr<int64_t> CardFields::Int(std::initializer_list<const char*> names, int64_t low,
                                        int64_t high) const {
  for (const char* name : names) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr) {
      continue;
    }
    if (!value->is_number_integer()) {
      return WrongKind(name, "a whole number");
    }
    // An unsigned value beyond 2^63 would wrap below zero.
    const bool huge =
        value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(high);
    const int64_t number = huge ? high : value->get<int64_t>();
    if (huge || number < low || number > high) {
      return Error(name, absl::StrCat("is ", value->dump(), ", allowed ", low, " to ", high));
    }
    return number;
  }
  return Error(*names.begin(),
               "the field is missing; take the config.json of the published model, "
               "or add the field");
}

absl::StatusOr<int64_t> CardFields::IntOr(std::initializer_list<const char*> names, int64_t absent,
                                          int64_t low, int64_t high) const {
  const bool any =
      std::any_of(names.begin(), names.end(), [this](const char* name) { return Has(name); });
  if (!any) {
    return absent;
  }
  return Int(names, low, high);
}

absl::StatusOr<bool> CardFields::BoolOr(const char* name, bool absent) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return absent;
  }
  if (!value->is_boolean()) {
    return WrongKind(name, "true or false");
  }
  return value->get<bool>();
}

absl::StatusOr<std::string> CardFields::TextOr(const char* name, absl::string_view absent) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return std::string(absent);
  }
  if (!value->is_string()) {
    return WrongKind(name, "text");
  }
  return value->get<std::string>();
}

absl::StatusOr<std::vector<std::string>> CardFields::Texts(const char* name) const {
  std::vector<std::string> out;
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return out;
  }
  if (!value->is_array()) {
    return WrongKind(name, "a list");
  }
  for (const nlohmann::json& item : *value) {
    if (!item.is_string()) {
      return Error(name, absl::StrCat("expected a list of texts, found ", item.type_name()));
    }
    out.push_back(item.get<std::string>());
  }
  return out;
}

absl::StatusOr<std::vector<int64_t>> CardFields::Ints(const char* name, int64_t low,
                                                      int64_t high) const {
  std::vector<int64_t> out;
  const nlohmann::json* value = Find(name);
  if (value == nullptr) {
    return out;
  }
  if (!value->is_array()) {
    return WrongKind(name, "a list");
  }
  for (const nlohmann::json& item : *value) {
    const bool fits =
        item.is_number_integer() &&
        !(item.is_number_unsigned() && item.get<uint64_t>() > static_cast<uint64_t>(high)) &&
        item.get<int64_t>() >= low && item.get<int64_t>() <= high;
    if (!fits) {
      return Error(name, absl::StrCat("expected whole numbers from ", low, " to ", high));
    }
    out.push_back(item.get<int64_t>());
  }
  return out;
}

absl::StatusOr<CardFields> CardFields::Object(const char* name) const {
  const nlohmann::json* value = Find(name);
  if (value != nullptr && !value->is_object()) {
    return WrongKind(name, "an object");
  }
  return CardFields(document_, value, Joined(path_, name));
}

std::vector<std::string> CardFields::Names() const {
  std::vector<std::string> names;
  if (object_ != nullptr) {
    for (const auto& [name, value] : object_->items()) {
      names.push_back(name);
    }
  }
  return names;
}

absl::Status CardFields::OnlyThese(absl::Span<const std::string> known) const {
  for (const std::string& name : Names()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Error(name, absl::StrCat("unknown field", DidYouMean(name, known)));
    }
  }
  return absl::OkStatus();
}

}  // namespace scoville::model::internal
