// The yardstick of the paged KV cache: tables are lists of cells, the cache is a map from hash to
// cell, and every question is answered by a loop over all of them. No pages, no queues, no index.
//
// Its eviction is GreedyDual by its definition: look at every cell that may go and take the one of
// the lowest key. Threading: none. Errors: the caller keeps the preconditions of device/kv.
#ifndef SCOVILLE_TESTS_REFERENCE_REFERENCE_PREFIX_POOL_H_
#define SCOVILLE_TESTS_REFERENCE_REFERENCE_PREFIX_POOL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "device/kv/prefix_hash.h"

namespace scoville::tests {

struct ReferencePoolOptions {
  int64_t blocks = 0;
  int64_t block_size = 1;
  int64_t pin_quota = 0;
  int64_t cost_base = 1;
  int64_t cost_per_depth = 0;
  int tables = 0;
};

class ReferencePrefixPool {
 public:
  using Hash = device::BlockHash;
  using CellId = int64_t;

  explicit ReferencePrefixPool(const ReferencePoolOptions& options)
      : options_(options), tables_(static_cast<size_t>(options.tables)) {}

  int64_t Lookup(const std::vector<Hash>& hashes) const;
  int64_t Attach(int table, const std::vector<Hash>& hashes);
  bool Grow(int table, int64_t tokens, bool allow_pins);
  bool Publish(int table, int64_t index, const Hash& hash, int64_t cost);
  void Fork(int from, int to, int64_t tokens);
  // Whether it worked; `copied`: into another cell.
  bool MakeWritable(int table, int64_t index, bool allow_pins, bool* copied);
  void Truncate(int table, int64_t tokens);
  int64_t Pin(const std::vector<Hash>& hashes, const std::string& tenant, int64_t until);
  int64_t ExpirePins(int64_t now);
  void DropCached();
  // A page is lost or repaired that holds this cell, or none (an idle page, a bad one).
  void LoseCells(const std::vector<CellId>& cells, int64_t idle);
  void RepairCell(CellId cell) { cells_.at(cell).mended = true; }
  void RepairUnheld() { --bad_unheld_; }

  const std::vector<CellId>& table(int t) const { return tables_[static_cast<size_t>(t)]; }
  int64_t Exclusive(int table) const;
  int64_t FirstLost(int table) const;
  // What is held: hash to cell.
  std::map<Hash, CellId> held() const;
  std::vector<Hash> TakeRemoved();  // hashes no longer held, since the last call

  int64_t used() const;
  int64_t cached() const;
  int64_t pinned() const;
  int64_t bad() const;
  int64_t idle() const { return options_.blocks - used() - cached() - pinned() - bad(); }

 private:
  struct Cell {
    int64_t refs = 0;
    bool hashed = false;
    Hash hash;
    bool has_parent = false;
    Hash parent;
    int64_t depth = 0;
    int64_t cost = 0;
    int64_t reuse = 0;
    int64_t hit_at = 0;  // turnovers
    int floor = 0;
    int bucket = 0;
    unsigned __int128 key = 0;
    int64_t order = 0;
    bool pinned = false;
    int64_t until = 0;
    std::string tenant;
    bool lost = false;
    bool mended = false;

    bool cached() const { return hashed && refs == 0; }
  };

  std::vector<CellId>& Table(int t) { return tables_[static_cast<size_t>(t)]; }
  CellId Find(const Hash& hash) const;  // -1
  int64_t Children(const Hash& hash) const;
  int64_t Turnovers() const { return evictions_ / options_.blocks; }
  int64_t Reuse(const Cell& cell) const;
  void Hit(Cell* cell);
  void Wait(CellId id);
  void Unpublish(CellId id);
  void EvictOne();
  bool MakeRoom(int64_t blocks, bool allow_pins);
  void Unpin(CellId id);
  CellId NextPin(bool cached_only) const;  // -1
  void Drop(CellId id);                    // one reference
  CellId NewCell();

  const ReferencePoolOptions options_;
  std::vector<std::vector<CellId>> tables_;
  std::map<CellId, Cell> cells_;
  std::vector<Hash> removed_;
  CellId next_cell_ = 0;
  int64_t bad_unheld_ = 0;
  int64_t evictions_ = 0;
  int64_t order_ = 0;
  unsigned __int128 clock_ = 0;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_REFERENCE_PREFIX_POOL_H_
