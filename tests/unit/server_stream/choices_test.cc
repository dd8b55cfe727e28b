#include "server/stream/choices.h"

#include <gtest/gtest.h>

#include <set>

namespace scoville::server {
namespace {

using scheduler::Outcome;
using scheduler::Request;
using scheduler::RequestRecord;

Request Full() {
  Request request;
  request.external_id = "id";
  request.tenant = "acme";
  request.service_class = scheduler::ServiceClass::kBatch;
  request.cache_salt = "salt";
  request.bypass_prefix_cache = true;
  request.prompt = {1, 2, 3};
  request.sampling.seed = 7;
  request.sampling.temperature = 0.5f;
  request.sampling.prompt_logprobs = 2;
  request.special_tokens_are_text = true;
  request.stop_tokens = {9};
  request.max_tokens = 8;
  request.min_tokens = 2;
  request.energy_limit = Energy::FromPicojoules(5);
  request.deadline = TimePoint(6);
  request.ttft_target = Milliseconds(1);
  request.itl_target = Milliseconds(2);
  request.drafts = false;
  return request;
}

TEST(ChoicesTest, TheyDifferInSeedsAndThePromptIsScoredOnce) {
  const std::vector<Request> choices = ChoicesOf(Full(), 3);
  ASSERT_EQ(choices.size(), 3u);
  for (size_t i = 0; i < choices.size(); ++i) {
    const Request& c = choices[i];
    EXPECT_EQ(c.external_id, "id");
    EXPECT_EQ(c.tenant, "acme");
    EXPECT_EQ(c.service_class, scheduler::ServiceClass::kBatch);
    EXPECT_EQ(c.cache_salt, "salt");
    EXPECT_EQ(c.bypass_prefix_cache, i == 0);
    EXPECT_EQ(c.prompt, (std::vector<int32_t>{1, 2, 3}));
    EXPECT_EQ(c.sampling.temperature, 0.5f);
    EXPECT_EQ(c.sampling.prompt_logprobs, i == 0 ? 2 : -1);
    EXPECT_TRUE(c.special_tokens_are_text);
    EXPECT_EQ(c.stop_tokens, std::vector<int32_t>{9});
    EXPECT_EQ(c.max_tokens, 8);
    EXPECT_EQ(c.min_tokens, 2);
    EXPECT_EQ(c.energy_limit, Energy::FromPicojoules(5));
    EXPECT_EQ(c.deadline, TimePoint(6));
    EXPECT_EQ(c.ttft_target, Milliseconds(1));
    EXPECT_EQ(c.itl_target, Milliseconds(2));
    EXPECT_FALSE(c.drafts);
    EXPECT_EQ(c.sampling.seed, ChoiceSeed(7, static_cast<uint32_t>(i)));
  }
}

TEST(ChoicesTest, SeedsAreFixedAndAllDifferent) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(ChoiceSeed(seed, 0), seed);
    for (uint32_t i = 1; i < 16; ++i) {
      seeds.insert(ChoiceSeed(seed, i));
    }
  }
  EXPECT_EQ(seeds.size(), 50u * 15u);
  // A client that stored a choice's seed finds its text again with a later version.
  EXPECT_EQ(ChoiceSeed(7, 1), ChoiceSeed(7, 1));
}

RequestRecord Record(int64_t output, int64_t from, int64_t to) {
  RequestRecord r;
  r.outcome = Outcome::kLength;
  r.prompt_tokens = 10;
  r.cached_tokens = 8;
  r.output_tokens = output;
  r.was_scheduled = true;
  r.arrival = TimePoint(1);
  r.scheduled = TimePoint(from);
  r.first_token = TimePoint(from + 1);
  r.last_token = TimePoint(to - 1);
  r.end = TimePoint(to);
  r.prefill_energy = Energy::FromPicojoules(3);
  r.decode_energy = Energy::FromPicojoules(4);
  r.waste_energy = Energy::FromPicojoules(1);
  r.preemptions = 1;
  r.seed = static_cast<uint64_t>(from);
  return r;
}

TEST(ChoicesTest, ThePromptCountsOnceAndTheRestIsASum) {
  RequestRecord second = Record(7, 5, 100);
  second.prompt_tokens = 10;
  second.cached_tokens = 10;
  const RequestRecord all = MergeChoices({Record(5, 20, 90), second});
  EXPECT_EQ(all.prompt_tokens, 10);
  EXPECT_EQ(all.cached_tokens, 8);
  EXPECT_EQ(all.output_tokens, 12);
  EXPECT_EQ(all.prefill_energy, Energy::FromPicojoules(6));
  EXPECT_EQ(all.decode_energy, Energy::FromPicojoules(8));
  EXPECT_EQ(all.waste_energy, Energy::FromPicojoules(2));
  EXPECT_EQ(all.preemptions, 2);
  EXPECT_EQ(all.seed, 20u);
  EXPECT_EQ(all.scheduled, TimePoint(5));
  EXPECT_EQ(all.first_token, TimePoint(6));
  EXPECT_EQ(all.last_token, TimePoint(99));
  EXPECT_EQ(all.end, TimePoint(100));
  EXPECT_EQ(all.outcome, Outcome::kLength);
}

TEST(ChoicesTest, AChoiceThatNeverRanLeavesTheTimesOfTheOthers) {
  RequestRecord none;
  none.outcome = Outcome::kCancelled;
  none.end = TimePoint(50);
  for (const bool first : {true, false}) {
    const RequestRecord ran = Record(3, 20, 40);
    const RequestRecord all = MergeChoices(first ? std::vector<RequestRecord>{none, ran}
                                                 : std::vector<RequestRecord>{ran, none});
    EXPECT_TRUE(all.was_scheduled);
    EXPECT_EQ(all.scheduled, TimePoint(20));
    EXPECT_EQ(all.first_token, TimePoint(21));
    EXPECT_EQ(all.end, TimePoint(50));
  }
}

TEST(ChoicesTest, WhatWentWrongIsTheOutcomeNotWhatWasCancelledForIt) {
  RequestRecord well = Record(1, 2, 3);
  RequestRecord cancelled = well;
  cancelled.outcome = Outcome::kCancelled;
  RequestRecord lost = well;
  lost.outcome = Outcome::kDeviceLost;
  EXPECT_EQ(MergeChoices({well, cancelled, lost}).outcome, Outcome::kDeviceLost);
  EXPECT_EQ(MergeChoices({lost, cancelled, well}).outcome, Outcome::kDeviceLost);
  EXPECT_EQ(MergeChoices({well, cancelled}).outcome, Outcome::kCancelled);
  EXPECT_EQ(MergeChoices({well, well}).outcome, Outcome::kLength);
}

}  // namespace
}  // namespace scoville::server
