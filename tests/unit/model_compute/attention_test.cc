#include "model/compute/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "model/compute/row_kernels.h"
#include "model/gguf/half.h"
#include "tests/reference/reference_attention.h"
#include "tests/unit/model_compute/each_target.h"
#include "tests/unit/model_compute/random_tensor.h"

namespace scoville::tests {
namespace {

// One sequence of one layer and one KV head, with its pages in a scattered order.
class Pages {
 public:
  Pages(int64_t head_size, int64_t keys, int64_t block_size)
      : head_size_(head_size), block_size_(block_size) {
    model::ModelConfig config;
    config.layers = 1;
    config.kv_heads = 1;
    config.head_size = head_size;
    const int64_t count = (keys + block_size - 1) / block_size;
    auto created = model::KvStorage::Create(config, count + 2, block_size);
    CHECK(created.ok());
    kv = *std::move(created);
    for (int64_t b = 0; b < count; ++b) blocks.push_back(static_cast<uint32_t>(count + 1 - b));
    // Every byte that no key wrote is NaN: it must not reach a result.
    for (int64_t b = 0; b < count + 2; ++b) {
      std::memset(kv->Page(static_cast<uint32_t>(b)), 0xff,
                  static_cast<size_t>(head_size * block_size * 4));
    }
    for (int64_t p = 0; p < keys; ++p) {
      for (int64_t d = 0; d < head_size; ++d) {
        *At(p, d, true) = model::FloatToHalf(RandomFloat(1, Index(p, d)));
        *At(p, d, false) = model::FloatToHalf(RandomFloat(2, Index(p, d)));
      }
    }
  }

  double Value(int64_t p, int64_t d, bool key) { return model::HalfToFloat(*At(p, d, key)); }

  std::unique_ptr<model::KvStorage> kv;
  std::vector<uint32_t> blocks;

 private:
  static uint64_t Index(int64_t p, int64_t d) { return static_cast<uint64_t>(p * 1000 + d); }
  uint16_t* At(int64_t p, int64_t d, bool key) {
    auto* page =
        reinterpret_cast<uint16_t*>(kv->Page(blocks[static_cast<size_t>(p / block_size_)]));
    const int64_t t = p % block_size_;
    return key ? page + d * block_size_ + t : page + head_size_ * block_size_ + t * head_size_ + d;
  }

  const int64_t head_size_;
  const int64_t block_size_;
};

std::vector<double> Oracle(Pages& pages, const std::vector<float>& q, int64_t keys) {
  return ReferenceAttention(q, keys,
                            [&](int64_t p, int64_t d, bool key) { return pages.Value(p, d, key); });
}

struct Shape {
  int64_t head_size;
  int64_t keys;
  int64_t block_size;
};

class Attention : public ::testing::TestWithParam<Shape> {};

TEST_P(Attention, IsSoftmaxOfScoresTimesValuesOnEveryTarget) {
  const Shape shape = GetParam();
  Pages pages(shape.head_size, shape.keys, shape.block_size);
  std::vector<std::vector<float>> queries(model::kMaxQueries);
  for (size_t i = 0; i < queries.size(); ++i) {
    for (int64_t d = 0; d < shape.head_size; ++d) {
      queries[i].push_back(2.0f * RandomFloat(30 + i, static_cast<uint64_t>(d)));
    }
  }
  std::vector<float> scratch(static_cast<size_t>(model::AttentionScratch(shape.keys)));
  std::vector<std::vector<float>> first;
  ForEachTarget([&](const char* name) {
    SCOPED_TRACE(name);
    for (int count = 1; count <= model::kMaxQueries; ++count) {
      model::AttentionTask task;
      task.kv = pages.kv.get();
      task.blocks = pages.blocks.data();
      task.value_offset = shape.head_size * shape.block_size * 2;
      task.head_size = shape.head_size;
      std::vector<std::vector<float>> out(static_cast<size_t>(count),
                                          std::vector<float>(static_cast<size_t>(shape.head_size)));
      for (int i = 0; i < count; ++i) {
        task.query[i] = queries[static_cast<size_t>(i)].data();
        task.out[i] = out[static_cast<size_t>(i)].data();
        // As rows of a chunk: later ones see more.
        task.keys[i] = std::max<int64_t>(1, shape.keys - (model::kMaxQueries - 1 - i) / 3);
      }
      task.queries = count;
      model::Attend(task, scratch.data());
      if (first.size() < out.size()) {
        first.resize(out.size());
        first.back() = out.back();
        for (int i = 0; i < count; ++i) {
          const std::vector<double> want =
              Oracle(pages, queries[static_cast<size_t>(i)], task.keys[i]);
          for (size_t d = 0; d < want.size(); ++d) {
            EXPECT_NEAR(out[static_cast<size_t>(i)][d], want[d], 1e-5);
          }
        }
      }
      for (size_t i = 0; i < out.size(); ++i) {
        EXPECT_EQ(std::memcmp(out[i].data(), first[i].data(), out[i].size() * sizeof(float)), 0)
            << "query " << i << " of " << count;
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         ::testing::Values(Shape{64, 1, 16}, Shape{64, 16, 16}, Shape{64, 17, 16},
                                           Shape{64, 100, 32}, Shape{16, 50, 16}, Shape{80, 33, 48},
                                           Shape{128, 300, 16}));

// Queries that see different numbers of keys, in pages of any size, on every target.
TEST(AttentionOracle, AgreesOverRandomShapes) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const auto between = [&](uint64_t draw, int64_t low, int64_t high) {
      return low + static_cast<int64_t>(
                       RandomBelow(seed, draw, 0, static_cast<uint64_t>(high - low + 1)));
    };
    const int64_t head_size = 16 * between(1, 1, 8);
    const int64_t block_size = 16 * between(2, 1, 4);
    const int64_t keys = between(3, 1, 300);
    const int count = static_cast<int>(between(4, 1, model::kMaxQueries));
    Pages pages(head_size, keys, block_size);
    std::vector<std::vector<float>> queries(static_cast<size_t>(count));
    std::vector<std::vector<float>> out(static_cast<size_t>(count),
                                        std::vector<float>(static_cast<size_t>(head_size)));
    model::AttentionTask task;
    task.kv = pages.kv.get();
    task.blocks = pages.blocks.data();
    task.value_offset = head_size * block_size * 2;
    task.head_size = head_size;
    task.queries = count;
    for (int i = 0; i < count; ++i) {
      std::vector<float>& query = queries[static_cast<size_t>(i)];
      for (int64_t d = 0; d < head_size; ++d) {
        query.push_back(RandomFloat(seed + 1000, static_cast<uint64_t>(i * 1000 + d)));
      }
      task.query[i] = query.data();
      task.out[i] = out[static_cast<size_t>(i)].data();
      task.keys[i] = between(10 + static_cast<uint64_t>(i), std::max<int64_t>(1, keys - 40), keys);
    }
    std::vector<float> scratch(static_cast<size_t>(model::AttentionScratch(keys)));
    ForEachTarget([&](const char* name) {
      SCOPED_TRACE(name);
      model::Attend(task, scratch.data());
      for (int i = 0; i < count; ++i) {
        const std::vector<double> want =
            Oracle(pages, queries[static_cast<size_t>(i)], task.keys[i]);
        for (size_t d = 0; d < want.size(); ++d) {
          ASSERT_NEAR(out[static_cast<size_t>(i)][d], want[d], 1e-5);
        }
      }
    });
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST(KvStorage, RefusesWhatItCannotHold) {
  model::ModelConfig config;
  config.layers = 1;
  config.kv_heads = 1;
  config.head_size = 64;
  EXPECT_EQ(model::KvStorage::Create(config, 4, 8).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(model::KvStorage::Create(config, 0, 16).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(model::KvStorage::Create(config, int64_t{1} << 50, 1 << 20).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(model::KvStorage::Create(config, int64_t{1} << 44, 16).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace scoville::tests
