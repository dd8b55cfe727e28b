#include "base/nearest_name.h"

#include <gtest/gtest.h>

namespace scoville {
namespace {

TEST(NearestNameTest, Distances) {
  EXPECT_EQ(EditDistance("listen", "listen", 3), 0u);
  EXPECT_EQ(EditDistance("lisen", "listen", 3), 1u);
  EXPECT_EQ(EditDistance("listne", "listen", 3), 1u);  // a swap
  EXPECT_EQ(EditDistance("kitten", "sitting", 9), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting", 2), 3u);  // beyond the limit
  EXPECT_EQ(EditDistance("", "abc", 5), 3u);
  EXPECT_EQ(EditDistance(std::string(1000, 'a'), std::string(1000, 'a'), 4), 5u);
}

TEST(NearestNameTest, Suggestions) {
  const std::vector<std::string> known = {"devices", "listen", "port"};
  EXPECT_EQ(NearestName("device", known), "devices");
  EXPECT_EQ(NearestName("prot", known), "port");
  EXPECT_EQ(NearestName("temperature", known), "");
  EXPECT_EQ(NearestName("x", {"ab"}), "");
  EXPECT_EQ(DidYouMean("lisen", known), "; did you mean 'listen'?");
  EXPECT_EQ(DidYouMean("zzz", known), "");
}

}  // namespace
}  // namespace scoville
