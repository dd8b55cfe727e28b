#include "sim/charts/figure.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "sim/charts/panel.h"

namespace scoville::sim::charts {

namespace {

constexpr double kPad = 18;  // around everything
constexpr double kColumnGap = 26;
constexpr double kRowGap = 20;
constexpr double kLegendRow = 22;
constexpr double kKeyWidth = 26;

constexpr Colour kPalette[kPaletteColours] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7,
                                              0xe69f00, 0x56b4e9, 0x333333};

struct LegendEntry {
  std::string name;
  int colour = 0;
  bool bar = false;
  Mark mark = Mark::kLineAndDots;
  bool dashed = false;
};

void AddEntry(LegendEntry entry, std::vector<LegendEntry>* entries) {
  const bool known = std::any_of(entries->begin(), entries->end(), [&](const LegendEntry& e) {
    return e.name == entry.name && e.colour == entry.colour;
  });
  if (!entry.name.empty() && !known) {
    entries->push_back(std::move(entry));
  }
}

std::vector<LegendEntry> LegendOf(const Figure& figure) {
  std::vector<LegendEntry> entries;
  for (const Panel& panel : figure.panels) {
    if (const auto* xy = std::get_if<XyPanel>(&panel)) {
      for (const Series& s : xy->series) {
        AddEntry({s.name, s.colour, false, s.mark, s.dashed}, &entries);
      }
    } else {
      for (const Bar& bar : std::get<BarPanel>(panel).bars) {
        for (const Segment& s : bar.segments) {
          AddEntry({s.name, s.colour, true}, &entries);
        }
      }
    }
  }
  return entries;
}

void DrawKey(const LegendEntry& entry, double x, double y, Drawing* drawing) {
  if (entry.bar) {
    drawing->AddBox({x, y - 6, 13, 12}, PaletteColour(entry.colour));
    return;
  }
  if (entry.mark != Mark::kDots) {
    drawing->AddLine({{x, y}, {x + kKeyWidth - 6, y}}, PaletteColour(entry.colour), 2).dash =
        DashOf(entry.dashed);
  }
  if (entry.mark != Mark::kLine) {
    DrawMarker({x + (kKeyWidth - 6) / 2, y}, entry.colour, 3.6, "", -1, drawing);
  }
}

// Draws the legend below `top` where `drawing` is given; returns where it ends.
double Legend(const std::vector<LegendEntry>& entries, double top, double width, Drawing* drawing) {
  if (entries.empty()) {
    return top;
  }
  double x = kPad;
  double y = top + kLegendRow / 2;
  for (const LegendEntry& entry : entries) {
    const double key = entry.bar ? 19 : kKeyWidth;
    const double needed = key + TextWidth(entry.name, kSmallSize);
    if (x > kPad && x + needed > width - kPad) {
      x = kPad;
      y += kLegendRow;
    }
    if (drawing != nullptr) {
      DrawKey(entry, x, y, drawing);
      drawing->AddText({x + key, y + 0.35 * kSmallSize}, entry.name,
                       {.size = kSmallSize, .colour = kInk});
    }
    x += needed + 22;
  }
  return y + kLegendRow / 2;
}

// Lines of words no wider than `width`.
std::vector<std::string> Wrap(const std::string& text, double size, double width) {
  std::vector<std::string> lines;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!lines.empty()) {
      std::string longer = absl::StrCat(lines.back(), " ", word);
      if (TextWidth(longer, size) <= width) {
        lines.back() = std::move(longer);
        continue;
      }
    }
    lines.emplace_back(word);
  }
  return lines;
}

// One row's or column's share of the margins: what the greediest of its panels needs.
void Widen(const Margins& m, Margins* all) {
  all->left = std::max(all->left, m.left);
  all->right = std::max(all->right, m.right);
  all->top = std::max(all->top, m.top);
  all->bottom = std::max(all->bottom, m.bottom);
}

// Panels in rows and columns; margins are shared down a column and along a row.
class Grid {
 public:
  explicit Grid(const Figure& figure) : figure_(figure) {
    columns_ = static_cast<size_t>(
        std::max(1, std::min(figure.columns, static_cast<int>(figure.panels.size()))));
    cell_ = (figure.width - 2 * kPad - kColumnGap * static_cast<double>(columns_ - 1)) /
            static_cast<double>(columns_);
    for (const Panel& panel : figure.panels) {
      Measure(panel);
    }
    // What the margins leave is shared equally, so that panels side by side can be compared.
    plot_width_ = figure.width - 2 * kPad - kColumnGap * static_cast<double>(columns_ - 1);
    for (const Margins& column : column_margins_) {
      plot_width_ -= column.left + column.right;
    }
    plot_width_ /= static_cast<double>(columns_);
  }

  double Height() const {
    double height = 0;
    for (const Row& row : rows_) {
      height += row.margins.top + row.plot + row.margins.bottom + kRowGap;
    }
    return rows_.empty() ? 0 : height - kRowGap;
  }

  void Draw(double top, Drawing* drawing, std::vector<Box>* plots) const {
    for (size_t i = 0; i < figure_.panels.size(); ++i) {
      const Row& row = rows_[i / columns_];
      if (i > 0 && i % columns_ == 0) {
        const Row& above = rows_[i / columns_ - 1];
        top += above.margins.top + above.plot + above.margins.bottom + kRowGap;
      }
      const Box plot = PlotOf(i, top, row);
      if (const auto* xy = std::get_if<XyPanel>(&figure_.panels[i])) {
        DrawPanel(*xy, MakeAxes(*xy, plot.width, plot.height), plot, drawing);
      } else {
        const auto& bars = std::get<BarPanel>(figure_.panels[i]);
        DrawPanel(bars, AxisOf(bars, plot.width, plot.height), plot, drawing);
      }
      if (plots != nullptr) {
        plots->push_back(plot);
      }
    }
  }

 private:
  struct Row {
    Margins margins;
    double plot = 0;
  };

  static Axis AxisOf(const BarPanel& panel, double width, double height) {
    return MakeAxis(panel, panel.upright ? height : width);
  }

  void Measure(const Panel& panel) {
    const size_t index = measured_++;
    if (index % columns_ == 0) {
      rows_.emplace_back();
    }
    if (column_margins_.size() < columns_) {
      column_margins_.resize(columns_);
    }
    // Labels are measured on axes of a plot that is a little too large.
    Margins m;
    double plot = figure_.panel_height;
    if (const auto* xy = std::get_if<XyPanel>(&panel)) {
      m = MarginsOf(*xy, MakeAxes(*xy, cell_, figure_.panel_height));
    } else {
      const auto& bars = std::get<BarPanel>(panel);
      plot = HeightOf(bars, figure_.panel_height);
      m = MarginsOf(bars, AxisOf(bars, cell_, plot), cell_);
    }
    Widen(m, &rows_.back().margins);
    Widen(m, &column_margins_[index % columns_]);
    rows_.back().plot = std::max(rows_.back().plot, plot);
  }

  Box PlotOf(size_t i, double top, const Row& row) const {
    const Margins& column = column_margins_[i % columns_];
    Box plot;
    plot.left = kPad + column.left;
    for (size_t c = 0; c < i % columns_; ++c) {
      plot.left += column_margins_[c].left + plot_width_ + column_margins_[c].right + kColumnGap;
    }
    plot.top = top + row.margins.top;
    plot.width = plot_width_;
    plot.height = row.plot;
    if (const auto* bars = std::get_if<BarPanel>(&figure_.panels[i])) {
      plot.height = HeightOf(*bars, row.plot);
    }
    return plot;
  }

  const Figure& figure_;
  size_t columns_ = 1;
  double cell_ = 0;  // a first guess at a panel's width
  double plot_width_ = 0;
  size_t measured_ = 0;
  std::vector<Row> rows_;
  std::vector<Margins> column_margins_;
};

}  // namespace

Colour PaletteColour(int index) { return index < 0 ? 0xa6a6a6 : kPalette[index % kPaletteColours]; }

std::vector<double> DashOf(bool dashed) {
  return dashed ? std::vector<double>{6, 4} : std::vector<double>{};
}

void DrawMarker(Point at, int colour, double radius, const std::string& tip, int series,
                Drawing* drawing) {
  const double r = radius;
  std::vector<Point> outline;
  switch (colour < 0 ? 0 : colour % 4) {
    case 0:  // a disc
      for (int i = 0; i < 16; ++i) {
        static constexpr double kSixteenth[] = {1, 0.92388, 0.70711, 0.38268, 0};
        const int quarter = i / 4;
        const double a = kSixteenth[i % 4];
        const double b = kSixteenth[4 - i % 4];
        const double xs[] = {a, -b, -a, b};
        const double ys[] = {b, a, -b, -a};
        outline.push_back({at.x + r * xs[quarter], at.y + r * ys[quarter]});
      }
      break;
    case 1:  // a square
      outline = {{at.x - 0.9 * r, at.y - 0.9 * r},
                 {at.x + 0.9 * r, at.y - 0.9 * r},
                 {at.x + 0.9 * r, at.y + 0.9 * r},
                 {at.x - 0.9 * r, at.y + 0.9 * r}};
      break;
    case 2:  // a triangle
      outline = {{at.x, at.y - 1.1 * r}, {at.x + 1.1 * r, at.y + r}, {at.x - 1.1 * r, at.y + r}};
      break;
    default:  // a rhomb
      outline = {{at.x, at.y - 1.25 * r},
                 {at.x + 1.25 * r, at.y},
                 {at.x, at.y + 1.25 * r},
                 {at.x - 1.25 * r, at.y}};
  }
  // A rim of paper keeps markers apart that touch.
  std::vector<Point> rim = outline;
  rim.push_back(outline.front());
  drawing->AddLine(rim, kPaper, 2);
  Shape& shape = drawing->AddArea(std::move(outline), PaletteColour(colour));
  shape.tip = tip;
  shape.series = series;
}

Drawing Draw(const Figure& figure, std::vector<Box>* plots) {
  constexpr double kSubtitleLine = kTextSize + 8;
  constexpr double kFooterLine = kSmallSize + 5;
  const double text_width = figure.width - 2 * kPad;
  const std::vector<std::string> subtitle = Wrap(figure.subtitle, kTextSize, text_width);
  const std::vector<std::string> footer = Wrap(figure.footer, kSmallSize, text_width);
  const std::vector<LegendEntry> legend = LegendOf(figure);
  const Grid grid(figure);
  double y = kPad + kTitleSize;
  const double legend_top = y + kSubtitleLine * static_cast<double>(subtitle.size()) + 10;
  const double top = Legend(legend, legend_top, figure.width, nullptr) + 6;
  const double bottom = top + grid.Height() + (footer.empty() ? 0 : 9);

  Drawing drawing(figure.width,
                  bottom + kFooterLine * static_cast<double>(footer.size()) + kPad - 6);
  drawing.AddBox({0, 0, drawing.width(), drawing.height()}, kPaper);
  drawing.AddText({kPad, y}, figure.title, {.size = kTitleSize, .colour = kInk, .bold = true});
  for (const std::string& line : subtitle) {
    y += kSubtitleLine;
    drawing.AddText({kPad, y}, line, {.size = kTextSize, .colour = kFaintInk});
  }
  Legend(legend, legend_top, figure.width, &drawing);
  grid.Draw(top, &drawing, plots);
  y = bottom;
  for (const std::string& line : footer) {
    y += kFooterLine;
    drawing.AddText({kPad, y}, line, {.size = kSmallSize, .colour = kFaintInk});
  }
  return drawing;
}

}  // namespace scoville::sim::charts
