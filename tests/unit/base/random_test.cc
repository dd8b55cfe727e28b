#include "base/random.h"

#include <gtest/gtest.h>

namespace scoville {
namespace {

// Known answers of the reference implementation (Random123, kat_vectors: philox4x32 10).
TEST(RandomTest, PhiloxKnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(RandomTest, DependsOnEachKeyAndIsUniformEnough) {
  EXPECT_NE(RandomBits(1, 2, 3), RandomBits(2, 2, 3));
  EXPECT_NE(RandomBits(1, 2, 3), RandomBits(1, 3, 3));
  EXPECT_NE(RandomBits(1, 2, 3), RandomBits(1, 2, 4));
  double sum = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double u = RandomUniform(7, 0, i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    ASSERT_LT(RandomBelow(7, 1, i, 10), 10u);
  }
  // The mean of n uniforms has standard deviation 1/sqrt(12 n) = 0.0009; allow five of them.
  EXPECT_NEAR(sum / kDraws, 0.5, 0.0046);
}

}  // namespace
}  // namespace scoville
