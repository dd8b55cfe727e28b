#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/terminal/text_width.h"

namespace scoville::client {
namespace {

TEST(TextWidth, CountsCellsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("é"), 1);
  EXPECT_EQ(DisplayWidth("e\xCC\x81"), 1);  // e and a combining acute
  EXPECT_EQ(DisplayWidth("熱"), 2);
  EXPECT_EQ(DisplayWidth("🌶"), 2);
  EXPECT_EQ(DisplayWidth("a\xFF"), 2);
}

TEST(TextWidth, CutsBetweenCharacters) {
  EXPECT_EQ(CutToWidth("pepper", 6), "pepper");
  EXPECT_EQ(CutToWidth("pepper", 4), "pep…");
  EXPECT_EQ(CutToWidth("熱熱熱", 4), "熱…");  // a half character would not fit
  EXPECT_EQ(CutToWidth("pepper", 0), "");
  EXPECT_EQ(PadToWidth("熱", 4, false), "熱  ");
  EXPECT_EQ(PadToWidth("7", 3, true), "  7");
}

TEST(TextWidth, RefusesBytesThatAreNotUtf8) {
  for (const char* bad : {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xF8\x88\x80\x80\x80", "\xE2\x82"}) {
    EXPECT_EQ(FirstCodePoint(bad).bytes, 1) << bad;
    EXPECT_EQ(FirstCodePoint(bad).value, 0xFFFDu) << bad;
  }
  EXPECT_EQ(FirstCodePoint("\xF0\x9F\x8C\xB6x").value, 0x1F336u);
  EXPECT_EQ(FirstCodePoint("\xF0\x9F\x8C\xB6x").bytes, 4);
}

TEST(TextWidth, PrintableTakesTheTerminalOutOfTheModelsHands) {
  EXPECT_EQ(Printable("a\nb\tc"), "a\nb\tc");
  EXPECT_EQ(Printable("\x1b[2J"), "�[2J");
  EXPECT_EQ(Printable("a\xC2\x9B"), "a�");  // the one-character CSI
  EXPECT_EQ(Printable("\xE2\x80\xAE"
                      "abc"),
            "�abc");  // right-to-left override
  EXPECT_EQ(Printable("\xFF"
                      "é"),
            "�é");
}

TEST(Figures, ThreeDigitsAndAUnit) {
  EXPECT_EQ(JoulesText(0.01234), "12.3 mJ");
  EXPECT_EQ(JoulesText(0), "0 J");
  EXPECT_EQ(WattsText(1250), "1.25 kW");
  EXPECT_EQ(WattsText(999.6), "1.00 kW");
  EXPECT_EQ(WattsText(345), "345 W");
  EXPECT_EQ(SecondsText(0.0852), "85.2 ms");
  EXPECT_EQ(SecondsText(1234), "1234 s");
  EXPECT_EQ(HertzText(1.4e9), "1.40 GHz");
  EXPECT_EQ(RateText(1234.4), "1,234");
  EXPECT_EQ(RateText(12.34), "12.3");
  EXPECT_EQ(RateText(std::nan("")), "-");
  EXPECT_EQ(CountText(1234567), "1,234,567");
  EXPECT_EQ(CountText(-1000), "-1,000");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CompactText(9999), "9999");
  EXPECT_EQ(CompactText(12345), "12.3k");
  EXPECT_EQ(QuotientText(1, 0), "-");
}

Table Sample() {
  Table table({{.heading = "ID", .right = true},
               {.heading = "Model", .flexible = true},
               {.heading = "Lag", .right = true, .optional = true}});
  table.SetTitle({"A pool 熱"});
  table.AddRow({{"0"}, {"smollm2-135m-instruct"}, {"1.0 ms"}});
  table.AddRow({{"1"}, {"熱 model"}, {"-"}});
  return table;
}

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

TEST(Table, EveryLineIsEquallyWide) {
  for (const int columns : {0, 200, 40, 30}) {
    Terminal terminal;
    terminal.columns = columns;
    const std::vector<std::string> lines = Lines(Sample().Render(terminal));
    ASSERT_EQ(lines.size(), 8u);  // title and its two rules, heading, rule, two rows, rule
    for (const std::string& line : lines) {
      EXPECT_EQ(DisplayWidth(line), DisplayWidth(lines[0])) << columns << "\n" << line;
      if (columns > 0) {
        EXPECT_LE(DisplayWidth(line), columns);
      }
    }
  }
}

TEST(Table, CutsFlexibleColumnsBeforeItDropsOptionalOnes) {
  Terminal terminal;
  terminal.columns = 30;
  const std::string cut = Sample().Render(terminal);
  EXPECT_THAT(cut, testing::HasSubstr("smollm"));
  EXPECT_THAT(cut, testing::HasSubstr("…"));
  EXPECT_THAT(cut, testing::HasSubstr("Lag"));
  terminal.columns = 18;
  EXPECT_THAT(Sample().Render(terminal), testing::Not(testing::HasSubstr("Lag")));
}

TEST(Table, TitleGoesOnInAnotherLine) {
  Table table = Sample();
  table.SetTitle({"pool", "700 / 1400 W", "waiting 3"});
  Terminal terminal;
  EXPECT_THAT(table.Render(terminal), testing::HasSubstr("pool   700 / 1400 W   waiting 3"));
  terminal.columns = 28;
  const std::string narrow = table.Render(terminal);
  EXPECT_THAT(narrow, testing::HasSubstr("pool   700 / 1400 W"));
  EXPECT_THAT(narrow, testing::HasSubstr("│ waiting 3"));
}

TEST(Table, AsciiWithoutUtf8AndNoEscapesWithoutColour) {
  Terminal terminal;
  terminal.utf8 = false;
  const std::string text = Sample().Render(terminal);
  EXPECT_THAT(text, testing::HasSubstr("+----+"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("\x1b")));
  terminal.colour = true;
  EXPECT_THAT(Sample().Render(terminal), testing::HasSubstr("\x1b[1m"));
}

}  // namespace
}  // namespace scoville::client
