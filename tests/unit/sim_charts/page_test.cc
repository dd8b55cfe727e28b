#include "sim/charts/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace scoville::sim::charts {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Table TwoRows() {
  Table table;
  table.title = "Chips";
  table.columns = {{"chip", "chip"}, {"watts", "W", 1}, {"tokens_per_joule", "tokens/J"}};
  table.Add({std::string("größer, \"A\" <b>"), 1234.56, 9.8765});
  table.Add({std::string("b"), std::numeric_limits<double>::quiet_NaN(), 0.012345});
  return table;
}

TEST(TableTest, TextIsAlignedByCharactersNotBytes) {
  EXPECT_EQ(ToText(TwoRows()),
            "Chips\n"
            "  chip                   W  tokens/J\n"
            "  größer, \"A\" <b>  1,234.6      9.88\n"
            "  b                      -    0.0123\n");
}

TEST(TableTest, CsvHoldsTheValuesInFull) {
  EXPECT_EQ(ToCsv(TwoRows()),
            "chip,watts,tokens_per_joule\n"
            "\"größer, \"\"A\"\" <b>\",1234.56,9.8765\n"
            "b,,0.012345\n");
}

TEST(TableTest, JsonHasNullForWhatIsNoNumber) {
  const auto json = nlohmann::json::parse(ToJson(TwoRows()));
  EXPECT_EQ(json[0]["chip"], "größer, \"A\" <b>");
  EXPECT_EQ(json[0]["watts"], 1234.56);
  EXPECT_TRUE(json[1]["watts"].is_null());
  EXPECT_EQ(json[1]["tokens_per_joule"], 0.012345);
}

TEST(PageTest, EscapesEverythingAndReachesForNothing) {
  Page page;
  page.title = "<title>";
  page.lead = "a & b";
  page.banners = {"what-if <b>"};
  page.facts = {{"profile", "<script>alert(1)</script>"}};
  page.notes = {"x < y"};
  page.tables = {TwoRows()};
  Figure figure;
  figure.title = "<figure>";
  figure.panels = {XyPanel{}};
  page.figures = {figure};
  const std::string html = ToHtml(page);
  EXPECT_THAT(html,
              AllOf(HasSubstr("&lt;title&gt;"), HasSubstr("a &amp; b"), HasSubstr("<svg"),
                    HasSubstr("what-if &lt;b&gt;"), HasSubstr("x &lt; y"),
                    HasSubstr("größer, &quot;A&quot; &lt;b&gt;"), HasSubstr("&lt;figure&gt;")));
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<title>&lt;script"))));
  // One file: no links, no images, no fonts from elsewhere. The namespace of SVG is a name.
  EXPECT_THAT(html, AllOf(Not(HasSubstr("href=")), Not(HasSubstr("src=")), Not(HasSubstr("url("))));
  EXPECT_EQ(ToHtml(page), html);
}

}  // namespace
}  // namespace scoville::sim::charts
