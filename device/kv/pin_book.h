// Which blocks are pinned, by whom and until when.
//
// A pin keeps a cached block from being evicted until it expires. It is charged to the tenant that
// set it first, up to a quota of blocks; whoever pins the block again only prolongs it. Pins cover
// prefixes, and a block is pinned at least as long as what follows it: in the order of expiry (at
// equal times the deeper block first) a prefix comes undone from its end.
//
// Units: TimePoint of the engine. Threading: none. Errors: a full quota is a value. O(log pins).
#ifndef SCOVILLE_DEVICE_KV_PIN_BOOK_H_
#define SCOVILLE_DEVICE_KV_PIN_BOOK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/units.h"

namespace scoville::device {

class PinBook {
 public:
  struct Expiry {
    TimePoint until;
    int64_t depth = 0;  // of the block in its prefix
    uint32_t block = 0;

    friend bool operator<(const Expiry& a, const Expiry& b) {
      return std::tie(a.until, b.depth, a.block) < std::tie(b.until, a.depth, b.block);
    }
  };

  explicit PinBook(int64_t quota_blocks) : quota_(quota_blocks) {}

  // Pins `block` or prolongs its pin. False if it is not pinned yet and the tenant's quota is full.
  bool Add(uint32_t block, int64_t depth, absl::string_view tenant, TimePoint until);
  void Remove(uint32_t block);

  int64_t size() const { return static_cast<int64_t>(pins_.size()); }
  int64_t TenantBlocks(absl::string_view tenant) const;
  // The next to expire first.
  const std::set<Expiry>& by_expiry() const { return by_expiry_; }

 private:
  using Charges = std::map<std::string, int64_t, std::less<>>;  // blocks, of tenants that have some

  struct Pin {
    TimePoint until;
    int64_t depth = 0;
    Charges::iterator charge;
  };

  const int64_t quota_;
  Charges charges_;
  absl::flat_hash_map<uint32_t, Pin> pins_;
  std::set<Expiry> by_expiry_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_PIN_BOOK_H_
