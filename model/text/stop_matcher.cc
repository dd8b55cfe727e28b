#include "model/text/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace scoville::model {

StopMatcher::StopMatcher(std::vector<std::string> strings) : strings_(std::move(strings)) {
  // An empty string would end everything at once; it asks for nothing.
  strings_.erase(std::remove(strings_.begin(), strings_.end(), std::string()), strings_.end());
  for (const std::string& s : strings_) longest_ = std::max(longest_, s.size());
}

bool StopMatcher::Append(absl::string_view bytes) {
  if (strings_.empty()) return false;
  tail_.append(bytes.data(), bytes.size());
  for (const std::string& s : strings_) {
    if (tail_.find(s) != std::string::npos) return true;
  }
  if (tail_.size() >= longest_) tail_.erase(0, tail_.size() - (longest_ - 1));
  return false;
}

}  // namespace scoville::model
