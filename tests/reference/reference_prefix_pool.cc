#include "tests/reference/reference_prefix_pool.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/status_macros.h"

namespace scoville::tests {

ReferencePrefixPool::CellId ReferencePrefixPool::Find(const Hash& hash) const {
  for (const auto& [id, cell] : cells_) {
    if (cell.hashed && cell.hash == hash) {
      return id;
    }
  }
  return -1;
}

int64_t ReferencePrefixPool::Children(const Hash& hash) const {
  int64_t children = 0;
  for (const auto& [id, cell] : cells_) {
    children += cell.hashed && cell.has_parent && cell.parent == hash;
  }
  return children;
}

int64_t ReferencePrefixPool::Lookup(const std::vector<Hash>& hashes) const {
  int64_t held = 0;
  for (const Hash& hash : hashes) {
    if (Find(hash) < 0) {
      break;
    }
    ++held;
  }
  return held;
}

int64_t ReferencePrefixPool::Reuse(const Cell& cell) const {
  int64_t reuse = cell.reuse;
  for (int64_t i = cell.hit_at; i < Turnovers(); ++i) {
    reuse /= 2;
  }
  return reuse;
}

void ReferencePrefixPool::Hit(Cell* cell) {
  cell->reuse = Reuse(*cell) + 1;
  cell->hit_at = Turnovers();
}

void ReferencePrefixPool::Wait(CellId id) {
  Cell& cell = cells_.at(id);
  int64_t cost = std::min(std::max(cell.cost, int64_t{1}), int64_t{1} << 40);
  int64_t unit = 1;  // nine significant bits
  while (cost / unit >= 512) {
    unit *= 2;
  }
  cost -= cost % unit;
  cell.bucket = 0;
  for (int64_t value = cost * (1 + Reuse(cell)); value > 1; value /= 2) {
    ++cell.bucket;
  }
  cell.bucket = std::max(cell.bucket, cell.floor);
  cell.key = clock_ + (uint64_t{1} << cell.bucket);
  cell.order = order_++;
  if (cell.has_parent) {
    Cell& parent = cells_.at(Find(cell.parent));
    parent.floor = std::max(parent.floor, cell.bucket);
  }
}

void ReferencePrefixPool::Unpublish(CellId id) {
  Cell& cell = cells_.at(id);
  cell.hashed = false;
  removed_.push_back(cell.hash);
  const CellId parent = cell.has_parent ? Find(cell.parent) : -1;
  if (parent >= 0 && Children(cell.parent) == 0) {
    cells_.at(parent).floor = 0;
  }
}

void ReferencePrefixPool::EvictOne() {
  CellId victim = -1;
  for (const auto& [id, cell] : cells_) {
    if (!cell.cached() || cell.pinned) {
      continue;
    }
    const auto rank = [](const Cell& c) { return std::make_tuple(c.key, c.bucket, c.order); };
    if (victim < 0 || rank(cell) < rank(cells_.at(victim))) {
      victim = id;
    }
  }
  CHECK_GE(victim, 0);
  CHECK_EQ(Children(cells_.at(victim).hash), 0);
  clock_ = cells_.at(victim).key;
  Unpublish(victim);
  cells_.erase(victim);
  ++evictions_;
}

ReferencePrefixPool::CellId ReferencePrefixPool::NextPin(bool cached_only) const {
  CellId next = -1;
  for (const auto& [id, cell] : cells_) {
    if (!cell.pinned || (cached_only && !cell.cached())) {
      continue;
    }
    if (next < 0 || cell.until < cells_.at(next).until ||
        (cell.until == cells_.at(next).until && cell.depth > cells_.at(next).depth)) {
      next = id;
    }
  }
  return next;
}

void ReferencePrefixPool::Unpin(CellId id) {
  Cell& cell = cells_.at(id);
  cell.pinned = false;
  if (cell.cached()) {
    Wait(id);
  }
}

bool ReferencePrefixPool::MakeRoom(int64_t blocks, bool allow_pins) {
  if (blocks > idle() + cached() + (allow_pins ? pinned() : 0)) {
    return false;
  }
  while (blocks > idle() + cached()) {
    Unpin(NextPin(true));
  }
  return true;
}

ReferencePrefixPool::CellId ReferencePrefixPool::NewCell() {
  if (idle() == 0) {
    EvictOne();
  }
  Cell cell;
  cell.refs = 1;
  cells_[next_cell_] = cell;
  return next_cell_++;
}

void ReferencePrefixPool::Drop(CellId id) {
  Cell& cell = cells_.at(id);
  if (--cell.refs > 0) {
    return;
  }
  if (!cell.hashed) {
    bad_unheld_ += cell.lost && !cell.mended;
    cells_.erase(id);
  } else if (!cell.pinned) {
    Wait(id);
  }
}

int64_t ReferencePrefixPool::Attach(int table, const std::vector<Hash>& hashes) {
  const int64_t held = Lookup(hashes);
  for (int64_t i = 0; i < held; ++i) {
    const CellId id = Find(hashes[static_cast<size_t>(i)]);
    ++cells_.at(id).refs;
    Hit(&cells_.at(id));
    Table(table).push_back(id);
  }
  return held;
}

bool ReferencePrefixPool::Grow(int table, int64_t tokens, bool allow_pins) {
  int64_t more = -static_cast<int64_t>(Table(table).size());
  for (int64_t covered = 0; covered < tokens; covered += options_.block_size) {
    ++more;
  }
  if (more <= 0) {
    return true;
  }
  if (!MakeRoom(more, allow_pins)) {
    return false;
  }
  for (; more > 0; --more) {
    Table(table).push_back(NewCell());
  }
  return true;
}

bool ReferencePrefixPool::Publish(int table, int64_t index, const Hash& hash, int64_t cost) {
  const size_t i = static_cast<size_t>(index);
  Cell& cell = cells_.at(Table(table)[i]);
  if (cell.hashed) {
    return true;
  }
  const Cell* parent = index == 0 ? nullptr : &cells_.at(Table(table)[i - 1]);
  if (cell.lost || (parent != nullptr && !parent->hashed)) {
    return false;
  }
  const CellId existing = Find(hash);
  if (existing < 0) {
    cell.hashed = true;
    cell.hash = hash;
    cell.has_parent = parent != nullptr;
    cell.parent = parent != nullptr ? parent->hash : Hash();
    cell.depth = index;
    cell.cost = cost > 0 ? cost : options_.cost_base + options_.cost_per_depth * index;
    cell.reuse = 0;
    cell.hit_at = Turnovers();
    cell.floor = 0;
    return true;
  }
  if (cell.refs > 1) {
    return false;
  }
  ++cells_.at(existing).refs;
  Hit(&cells_.at(existing));
  Drop(std::exchange(Table(table)[i], existing));
  return true;
}

void ReferencePrefixPool::Fork(int from, int to, int64_t tokens) {
  for (size_t i = 0; i < static_cast<size_t>(tokens / options_.block_size); ++i) {
    const CellId id = Table(from)[i];
    ++cells_.at(id).refs;
    Table(to).push_back(id);
  }
}

bool ReferencePrefixPool::MakeWritable(int table, int64_t index, bool allow_pins, bool* copied) {
  CellId& entry = Table(table)[static_cast<size_t>(index)];
  *copied = false;
  Cell& cell = cells_.at(entry);
  if (cell.refs == 1 && !cell.hashed) {
    return true;
  }
  if (MakeRoom(1, allow_pins)) {
    *copied = true;
    const CellId fresh = NewCell();
    Drop(std::exchange(entry, fresh));
    return true;
  }
  if (cell.refs > 1 || Children(cell.hash) > 0 || (cell.pinned && !allow_pins)) {
    return false;
  }
  cell.pinned = false;
  Unpublish(entry);
  return true;
}

void ReferencePrefixPool::Truncate(int table, int64_t tokens) {
  while (static_cast<int64_t>(Table(table).size() - 1) * options_.block_size >= tokens &&
         !Table(table).empty()) {
    const CellId id = Table(table).back();
    Table(table).pop_back();
    Drop(id);
  }
}

int64_t ReferencePrefixPool::Pin(const std::vector<Hash>& hashes, const std::string& tenant,
                                 int64_t until) {
  const int64_t held = Lookup(hashes);
  for (int64_t i = 0; i < held; ++i) {
    Cell& cell = cells_.at(Find(hashes[static_cast<size_t>(i)]));
    if (cell.pinned) {
      cell.until = std::max(cell.until, until);
      continue;
    }
    int64_t charged = 0;
    for (const auto& [id, other] : cells_) {
      charged += other.pinned && other.tenant == tenant;
    }
    if (charged >= options_.pin_quota) {
      return i;
    }
    cell.pinned = true;
    cell.tenant = tenant;
    cell.until = until;
  }
  return held;
}

int64_t ReferencePrefixPool::ExpirePins(int64_t now) {
  int64_t ended = 0;
  for (CellId id = NextPin(false); id >= 0 && cells_.at(id).until <= now; id = NextPin(false)) {
    Unpin(id);
    ++ended;
  }
  return ended;
}

void ReferencePrefixPool::DropCached() {
  while (cached() > 0) {
    EvictOne();
  }
}

void ReferencePrefixPool::LoseCells(const std::vector<CellId>& cells, int64_t idle) {
  bad_unheld_ += idle;
  std::vector<CellId> doomed = cells;
  for (size_t i = 0; i < doomed.size(); ++i) {
    const Cell& gone = cells_.at(doomed[i]);
    for (const auto& [id, cell] : cells_) {
      if (gone.hashed && cell.hashed && cell.has_parent && cell.parent == gone.hash) {
        doomed.push_back(id);
      }
    }
  }
  std::sort(doomed.begin(), doomed.end());
  doomed.erase(std::unique(doomed.begin(), doomed.end()), doomed.end());
  for (const CellId id : doomed) {
    Cell& cell = cells_.at(id);
    cell.pinned = false;
    if (cell.hashed) {
      Unpublish(id);
    }
  }
  for (const CellId id : cells) {
    cells_.at(id).lost = true;
    cells_.at(id).mended = false;
  }
  for (const CellId id : doomed) {
    if (cells_.at(id).refs == 0) {
      bad_unheld_ += cells_.at(id).lost;
      cells_.erase(id);
    }
  }
}

int64_t ReferencePrefixPool::Exclusive(int table) const {
  int64_t exclusive = 0;
  for (const CellId id : tables_[static_cast<size_t>(table)]) {
    exclusive += cells_.at(id).refs == 1;
  }
  return exclusive;
}

int64_t ReferencePrefixPool::FirstLost(int table) const {
  int64_t index = 0;
  for (const CellId id : tables_[static_cast<size_t>(table)]) {
    if (cells_.at(id).lost) {
      break;
    }
    ++index;
  }
  return index;
}

std::map<device::BlockHash, ReferencePrefixPool::CellId> ReferencePrefixPool::held() const {
  std::map<Hash, CellId> held;
  for (const auto& [id, cell] : cells_) {
    if (cell.hashed) {
      CHECK(held.emplace(cell.hash, id).second);
    }
  }
  return held;
}

std::vector<device::BlockHash> ReferencePrefixPool::TakeRemoved() {
  return std::exchange(removed_, {});
}

int64_t ReferencePrefixPool::used() const {
  int64_t used = 0;
  for (const auto& [id, cell] : cells_) {
    used += cell.refs > 0 && !cell.lost;
  }
  return used;
}

int64_t ReferencePrefixPool::cached() const {
  int64_t cached = 0;
  for (const auto& [id, cell] : cells_) {
    cached += cell.cached() && !cell.pinned;
  }
  return cached;
}

int64_t ReferencePrefixPool::pinned() const {
  int64_t pinned = 0;
  for (const auto& [id, cell] : cells_) {
    pinned += cell.cached() && cell.pinned;
  }
  return pinned;
}

int64_t ReferencePrefixPool::bad() const {
  int64_t bad = bad_unheld_;
  for (const auto& [id, cell] : cells_) {
    bad += cell.lost;
  }
  return bad;
}

}  // namespace scoville::tests
