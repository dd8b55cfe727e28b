#include "base/stable_hash.h"

#include <gtest/gtest.h>

namespace scoville {
namespace {

// Pinned: event hashes are compared between builds and machines.
TEST(StableHashTest, IsPinned) {
  StableHasher h;
  h.Add(uint64_t{1});
  h.Add("tokens");
  EXPECT_EQ(h.hash().ToString(), "f0a87bd4b57653c30766ad5e0b56c3e9");
}

TEST(StableHashTest, OrderAndBoundariesMatter) {
  StableHasher a, b, c;
  a.Add("ab");
  a.Add("c");
  b.Add("a");
  b.Add("bc");
  c.Add("c");
  c.Add("ab");
  EXPECT_NE(a.hash().ToString(), b.hash().ToString());
  EXPECT_NE(a.hash().ToString(), c.hash().ToString());
}

}  // namespace
}  // namespace scoville
