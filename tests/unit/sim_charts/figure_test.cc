#include "sim/charts/figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace scoville::sim::charts {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr double kHair = 1e-6;

XyPanel Curves(bool logarithmic) {
  XyPanel panel;
  panel.x = {.label = "cap, W", .logarithmic = logarithmic, .from_zero = false};
  panel.y = {.label = "tokens/s", .logarithmic = logarithmic};
  for (int s = 0; s < 4; ++s) {
    Series series;
    series.name = "series " + std::to_string(s);
    series.colour = s;
    for (int i = 1; i <= 20; ++i) {
      series.points.push_back({10.0 * i * i, 3.0 + 7.5 * i * (s + 1)});
      series.low.push_back(series.points.back().y * 0.8);
      series.high.push_back(series.points.back().y * 1.3);
    }
    panel.series.push_back(series);
  }
  panel.rules.push_back({.upright = true, .at = 5'000, .label = "TDP"});
  return panel;
}

BarPanel Bars(bool upright) {
  BarPanel panel;
  panel.axis = {.label = "J/token"};
  panel.upright = upright;
  for (int i = 0; i < 6; ++i) {
    Bar bar;
    bar.label = "chip " + std::to_string(i);
    bar.segments = {{"compute", 0, 0, 1.0 + i}, {"memory", 1, 1.0 + i, 3.5 + i}};
    bar.value = "3.5";
    bar.whisker = {2.0 + i, 4.5 + i};
    panel.bars.push_back(bar);
  }
  return panel;
}

Figure FourPanels() {
  Figure figure;
  figure.title = "Four panels";
  figure.subtitle = "of made-up numbers";
  figure.footer = "emulated, ";
  for (int i = 0; i < 60; ++i) {
    figure.footer += "word" + std::to_string(i) + " ";
  }
  figure.panels = {Curves(false), Curves(true), Bars(false), Bars(true)};
  return figure;
}

Box Bounds(const Shape& shape) {
  if (shape.kind != ShapeKind::kText) {
    Box box{shape.points[0].x, shape.points[0].y, 0, 0};
    for (const Point& p : shape.points) {
      const double right = std::max(box.right(), p.x);
      const double bottom = std::max(box.bottom(), p.y);
      box.left = std::min(box.left, p.x);
      box.top = std::min(box.top, p.y);
      box.width = right - box.left;
      box.height = bottom - box.top;
    }
    return box;
  }
  const double width = TextWidth(shape.text, shape.style.size, shape.style.bold);
  const double share = shape.style.anchor == Anchor::kStart ? 0
                       : shape.style.anchor == Anchor::kEnd ? 1
                                                            : 0.5;
  return {shape.points[0].x - share * width, shape.points[0].y - 0.75 * shape.style.size, width,
          0.75 * shape.style.size};
}

TEST(FigureTest, EveryPointOfEverySeriesLiesInItsPlot) {
  std::vector<Box> plots;
  const Drawing drawing = Draw(FourPanels(), &plots);
  ASSERT_EQ(plots.size(), 4u);
  int checked = 0;
  for (const Shape& shape : drawing.shapes()) {
    if (shape.series < 0) {
      continue;
    }
    // A marker reaches over its point; lines, bands and bars do not.
    const double slack = shape.kind == ShapeKind::kArea && shape.points.size() <= 16 ? 5 : kHair;
    for (const Point& point : shape.points) {
      bool inside = false;
      for (const Box& plot : plots) {
        inside = inside || plot.Contains(point, slack);
      }
      EXPECT_TRUE(inside) << point.x << ", " << point.y;
      ++checked;
    }
  }
  EXPECT_GT(checked, 1'000);
}

TEST(FigureTest, EverythingLiesInThePicture) {
  const Drawing drawing = Draw(FourPanels());
  const Box page{0, 0, drawing.width(), drawing.height()};
  for (const Shape& shape : drawing.shapes()) {
    const Box box = Bounds(shape);
    EXPECT_TRUE(page.Contains({box.left, box.top}) && page.Contains({box.right(), box.bottom()}))
        << shape.text;
  }
}

TEST(FigureTest, TextsDoNotOverlap) {
  const Drawing drawing = Draw(FourPanels());
  std::vector<const Shape*> texts;
  for (const Shape& shape : drawing.shapes()) {
    if (shape.kind == ShapeKind::kText) {
      texts.push_back(&shape);
    }
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(Bounds(*texts[i]).Overlaps(Bounds(*texts[j])))
          << texts[i]->text << " and " << texts[j]->text;
    }
  }
}

TEST(FigureTest, PanelsStandInRowsAndColumnsWithSharedMargins) {
  std::vector<Box> plots;
  Draw(FourPanels(), &plots);
  EXPECT_EQ(plots[0].top, plots[1].top);
  EXPECT_EQ(plots[0].left, plots[2].left);
  EXPECT_EQ(plots[1].left, plots[3].left);
  EXPECT_EQ(plots[1].right(), plots[3].right());
  EXPECT_LT(plots[0].bottom(), plots[2].top);
  EXPECT_LT(plots[0].right(), plots[1].left);
}

TEST(FigureTest, PointLabelsAvoidEachOtherOrAreLeftOut) {
  XyPanel panel;
  panel.x = {.label = "x"};
  panel.y = {.label = "y"};
  Series series;
  series.mark = Mark::kDots;
  for (int i = 0; i < 60; ++i) {
    series.points.push_back({5.0 + 0.01 * i, 5.0 + 0.005 * i});
    series.labels.push_back("batch " + std::to_string(i));
  }
  series.points.push_back({0, 10});
  series.labels.push_back("alone");
  panel.series = {series};
  Figure figure;
  figure.panels = {panel};
  std::vector<Box> labels;
  bool alone = false;
  const Drawing drawing = Draw(figure);
  for (const Shape& shape : drawing.shapes()) {
    if (shape.kind == ShapeKind::kText && shape.text.rfind("batch", 0) == 0) {
      labels.push_back(Bounds(shape));
    }
    alone = alone || shape.text == "alone";
  }
  EXPECT_TRUE(alone);
  EXPECT_GT(labels.size(), 2u);
  EXPECT_LT(labels.size(), 60u);
  for (size_t i = 0; i < labels.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(labels[i].Overlaps(labels[j]));
    }
  }
}

TEST(FigureTest, APointThatIsNoNumberBreaksTheLine) {
  XyPanel panel;
  panel.x = {.label = "x"};
  panel.y = {.label = "y"};
  Series series;
  series.mark = Mark::kLine;
  series.points = {{0, 1}, {1, 2}, {2, std::nan("")}, {3, 4}, {4, 5}};
  panel.series = {series};
  Figure figure;
  figure.panels = {panel};
  int lines = 0;
  const Drawing drawing = Draw(figure);
  for (const Shape& shape : drawing.shapes()) {
    lines += shape.series == 0 ? 1 : 0;
  }
  EXPECT_EQ(lines, 2);
}

TEST(PictureTest, PngHasTheDrawingsSizeAndEqualBytesEachTime) {
  const Drawing drawing = Draw(FourPanels());
  const auto png = ToPng(drawing, 2);
  ASSERT_TRUE(png.ok()) << png.status();
  EXPECT_THAT(*png, StartsWith("\x89PNG\r\n\x1a\n"));
  const auto size_at = [&](size_t at) {
    int size = 0;
    for (size_t i = 0; i < 4; ++i) {
      size = size * 256 + static_cast<unsigned char>((*png)[at + i]);
    }
    return size;
  };
  EXPECT_EQ(size_at(16), static_cast<int>(std::ceil(2 * drawing.width())));
  EXPECT_EQ(size_at(20), static_cast<int>(std::ceil(2 * drawing.height())));
  EXPECT_EQ(*ToPng(Draw(FourPanels()), 2), *png);
}

TEST(PictureTest, APictureWithoutPixelsIsRefused) { EXPECT_FALSE(ToPng(Drawing(-5, 10)).ok()); }

TEST(PictureTest, SvgHasTheSizeTheTextsAndNoIds) {
  const Drawing drawing = Draw(FourPanels());
  const std::string svg = ToSvg(drawing, "four panels");
  EXPECT_THAT(svg, HasSubstr("viewBox=\"0 0 960 "));
  EXPECT_THAT(svg, HasSubstr(">Four panels</text>"));
  EXPECT_THAT(svg, HasSubstr(">series 3</text>"));
  EXPECT_THAT(svg, HasSubstr("aria-label=\"four panels\""));
  EXPECT_THAT(svg, Not(HasSubstr(" id=")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(ToSvg(Draw(FourPanels()), "four panels"), svg);
}

TEST(PictureTest, SvgEscapesWhatUsersNamed) {
  Drawing drawing(100, 100);
  drawing.AddText({1, 2}, "<b>\"a\" & 'b'</b>", {});
  drawing.AddBox({0, 0, 1, 1}, 0).tip = "1 < 2";
  const std::string svg = ToSvg(drawing, "\"><script>");
  EXPECT_THAT(svg, HasSubstr("&lt;b&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/b&gt;"));
  EXPECT_THAT(svg, HasSubstr("<title>1 &lt; 2</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
}

TEST(PictureTest, WiderTextIsWider) {
  EXPECT_GT(TextWidth("tokens per joule", 12), TextWidth("tokens", 12));
  EXPECT_GT(TextWidth("tokens", 12, true), TextWidth("tokens", 12));
  EXPECT_NEAR(TextWidth("tokens", 24), 2 * TextWidth("tokens", 12), 0.5);
}

}  // namespace
}  // namespace scoville::sim::charts
