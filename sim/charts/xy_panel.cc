// Lines and points.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/charts/panel.h"

namespace scoville::sim::charts {

namespace {

constexpr double kPixelsPerXTick = 62;
constexpr double kPixelsPerYTick = 44;
constexpr double kMarkerRadius = 3.6;
constexpr double kBandOpacity = 0.16;

// Turns values into pixels.
class Plotter {
 public:
  Plotter(const PanelAxes& axes, const Box& plot) : axes_(axes), plot_(plot) {}

  double X(double value) const { return plot_.left + axes_.x.Position(value) * plot_.width; }
  double Y(double value) const { return plot_.bottom() - axes_.y.Position(value) * plot_.height; }
  Point At(Point p) const { return {X(p.x), Y(p.y)}; }
  bool Shows(Point p) const {
    return std::isfinite(p.x) && std::isfinite(p.y) && (!axes_.x.logarithmic || p.x > 0) &&
           (!axes_.y.logarithmic || p.y > 0);
  }

 private:
  const PanelAxes& axes_;
  const Box& plot_;
};

// The places that labels may not cover, and those that hold one already.
class Labels {
 public:
  Labels(const Box& plot, Drawing* drawing) : plot_(plot), drawing_(drawing) {}

  void Avoid(const Box& box) { taken_.push_back(box); }
  void AvoidPoint(Point p) {
    Avoid({p.x - kMarkerRadius, p.y - kMarkerRadius, 2 * kMarkerRadius, 2 * kMarkerRadius});
  }
  void AvoidLine(Point a, Point b) {
    constexpr double kStride = 4;
    const double length = std::max(std::abs(b.x - a.x), std::abs(b.y - a.y));
    const int pieces = static_cast<int>(length / kStride) + 1;
    for (int i = 0; i <= pieces; ++i) {
      const double share = static_cast<double>(i) / pieces;
      Avoid({a.x + share * (b.x - a.x) - 1, a.y + share * (b.y - a.y) - 1, 2, 2});
    }
  }

  // Right, left, above, below, then the corners; nowhere if all are taken.
  void PlaceBeside(Point at, const std::string& text) {
    const double width = TextWidth(text, kSmallSize);
    constexpr double kGap = 7;
    const double beside = at.y - kSmallSize / 2;
    const double middle = at.x - width / 2;
    const double above = at.y - kGap - kSmallSize;
    const double below = at.y + kGap;
    Place({{at.x + kGap, beside},
           {at.x - kGap - width, beside},
           {middle, above},
           {middle, below},
           {at.x + kGap / 2, above},
           {at.x + kGap / 2, below},
           {at.x - kGap / 2 - width, above},
           {at.x - kGap / 2 - width, below}},
          text, kInk);
  }

  // The first corner at which the text covers nothing; false if there is none.
  bool Place(const std::vector<Point>& corners, const std::string& text, Colour colour) {
    const double width = TextWidth(text, kSmallSize);
    for (const Point& corner : corners) {
      const Box box{corner.x, corner.y, width, kSmallSize};
      if (Free(box)) {
        Write(box, text, colour);
        return true;
      }
    }
    return false;
  }

  void Write(const Box& box, const std::string& text, Colour colour) {
    drawing_->AddText({box.left, box.bottom() - 0.18 * kSmallSize}, text,
                      {.size = kSmallSize, .colour = colour});
    Avoid(box);
  }

 private:
  bool Free(const Box& box) const {
    if (!plot_.Contains({box.left, box.top}) || !plot_.Contains({box.right(), box.bottom()})) {
      return false;
    }
    return std::none_of(taken_.begin(), taken_.end(),
                        [&](const Box& other) { return box.Overlaps(other); });
  }

  const Box& plot_;
  Drawing* drawing_;
  std::vector<Box> taken_;
};

void DrawGrid(const XyPanel& panel, const PanelAxes& axes, const Box& plot, const Plotter& plotter,
              Drawing* drawing) {
  for (const Tick& tick : axes.x.ticks) {
    const double x = plotter.X(tick.value);
    drawing->AddLine({{x, plot.top}, {x, plot.bottom()}},
                     tick.major ? kGridColour : kFaintGridColour);
  }
  for (const Tick& tick : axes.y.ticks) {
    const double y = plotter.Y(tick.value);
    drawing->AddLine({{plot.left, y}, {plot.right(), y}},
                     tick.major ? kGridColour : kFaintGridColour);
    drawing->AddText({plot.left - 7, y + 0.35 * kSmallSize}, tick.label,
                     {.size = kSmallSize, .colour = kFaintInk, .anchor = Anchor::kEnd});
  }
  double last_right = -1e9;
  for (const Tick& tick : axes.x.ticks) {
    const double x = plotter.X(tick.value);
    const double half = TextWidth(tick.label, kSmallSize) / 2;
    if (tick.label.empty() || x - half < last_right + 6) {
      continue;
    }
    last_right = x + half;
    drawing->AddText({x, plot.bottom() + 17}, tick.label,
                     {.size = kSmallSize, .colour = kFaintInk, .anchor = Anchor::kMiddle});
  }
  drawing->AddLine({{plot.left, plot.bottom()}, {plot.right(), plot.bottom()}}, kAxisColour, 1.2);
  drawing->AddText({plot.left + plot.width / 2, plot.bottom() + 36}, panel.x.label,
                   {.size = kSmallSize, .colour = kInk, .anchor = Anchor::kMiddle});
  drawing->AddText({plot.left, plot.top - 12}, panel.y.label,
                   {.size = kTextSize, .colour = kInk, .bold = true});
}

void DrawBand(const Series& series, int index, const Plotter& plotter, Drawing* drawing) {
  if (series.low.size() != series.points.size() || series.high.size() != series.points.size()) {
    return;
  }
  std::vector<Point> outline;
  std::vector<Point> back;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const Point low{series.points[i].x, series.low[i]};
    const Point high{series.points[i].x, series.high[i]};
    if (plotter.Shows(low) && plotter.Shows(high)) {
      outline.push_back(plotter.At(high));
      back.push_back(plotter.At(low));
    }
  }
  outline.insert(outline.end(), back.rbegin(), back.rend());
  if (outline.size() > 2) {
    Shape& area = drawing->AddArea(std::move(outline), PaletteColour(series.colour));
    area.opacity = kBandOpacity;
    area.series = index;
  }
}

void DrawLine(const Series& series, int index, const Plotter& plotter, Labels* labels,
              Drawing* drawing) {
  std::vector<Point> run;
  const auto flush = [&] {
    for (size_t i = 1; i < run.size(); ++i) {
      labels->AvoidLine(run[i - 1], run[i]);
    }
    if (run.size() > 1) {
      Shape& line = drawing->AddLine(run, PaletteColour(series.colour), 2);
      line.dash = DashOf(series.dashed);
      line.series = index;
    }
    run.clear();
  };
  for (const Point& point : series.points) {
    if (plotter.Shows(point)) {
      run.push_back(plotter.At(point));
    } else {
      flush();
    }
  }
  flush();
}

std::string Tip(const XyPanel& panel, const Series& series, size_t i) {
  std::string tip = series.name.empty() ? "" : absl::StrCat(series.name, ": ");
  absl::StrAppend(&tip, Rounded(series.points[i].x), " ", panel.x.label, ", ",
                  Rounded(series.points[i].y), " ", panel.y.label);
  if (i < series.labels.size() && !series.labels[i].empty()) {
    absl::StrAppend(&tip, " (", series.labels[i], ")");
  }
  return tip;
}

void DrawRules(const XyPanel& panel, const Box& plot, const Plotter& plotter, Labels* labels,
               Drawing* drawing) {
  for (const Rule& rule : panel.rules) {
    std::vector<Point> line;
    if (rule.upright) {
      const double x = plotter.X(rule.at);
      line = {{x, plot.top}, {x, plot.bottom()}};
    } else {
      const double y = plotter.Y(rule.at);
      line = {{plot.left, y}, {plot.right(), y}};
    }
    labels->AvoidLine(line[0], line[1]);
    drawing->AddLine(std::move(line), kAxisColour, 1.2).dash = {2, 3};
  }
}

// Where the word covers nothing; else at the first place, on a patch of paper.
void NameRules(const XyPanel& panel, const Box& plot, const Plotter& plotter, Labels* labels,
               Drawing* drawing) {
  for (const Rule& rule : panel.rules) {
    const double width = TextWidth(rule.label, kSmallSize);
    std::vector<Point> corners;
    if (rule.upright) {
      const double right = plotter.X(rule.at) + 5;
      const double left = plotter.X(rule.at) - 5 - width;
      const double first = right + width > plot.right() ? left : right;
      for (const double y : {plot.bottom() - kSmallSize - 4, plot.top + 4}) {
        corners.push_back({first, y});
        corners.push_back({left, y});
      }
    } else {
      const double above = plotter.Y(rule.at) - kSmallSize - 4;
      const double below = plotter.Y(rule.at) + 4;
      const double first = above < plot.top ? below : above;
      for (const double x : {plot.right() - width - 3, plot.left + 3}) {
        corners.push_back({x, first});
        corners.push_back({x, below});
      }
    }
    if (!labels->Place(corners, rule.label, kFaintInk)) {
      const Box box{corners[0].x, corners[0].y, width, kSmallSize};
      drawing->AddBox({box.left - 2, box.top - 1, width + 4, kSmallSize + 3}, kPaper).opacity =
          0.85;
      labels->Write(box, rule.label, kFaintInk);
    }
  }
}

}  // namespace

PanelAxes MakeAxes(const XyPanel& panel, double width, double height) {
  std::vector<double> xs;
  std::vector<double> ys;
  for (const Series& series : panel.series) {
    for (const Point& point : series.points) {
      xs.push_back(point.x);
      ys.push_back(point.y);
    }
    ys.insert(ys.end(), series.low.begin(), series.low.end());
    ys.insert(ys.end(), series.high.begin(), series.high.end());
  }
  for (const Rule& rule : panel.rules) {
    (rule.upright ? xs : ys).push_back(rule.at);
  }
  return {MakeAxis(panel.x, xs, static_cast<int>(width / kPixelsPerXTick)),
          MakeAxis(panel.y, ys, static_cast<int>(height / kPixelsPerYTick))};
}

Margins MarginsOf(const XyPanel& panel, const PanelAxes& axes) {
  Margins m{.left = 0, .right = 14, .top = 32, .bottom = panel.x.label.empty() ? 26.0 : 46.0};
  for (const Tick& tick : axes.y.ticks) {
    m.left = std::max(m.left, TextWidth(tick.label, kSmallSize) + 9);
  }
  return m;
}

void DrawPanel(const XyPanel& panel, const PanelAxes& axes, const Box& plot, Drawing* drawing) {
  const Plotter plotter(axes, plot);
  DrawGrid(panel, axes, plot, plotter, drawing);
  Labels labels(plot, drawing);
  for (size_t s = 0; s < panel.series.size(); ++s) {
    DrawBand(panel.series[s], static_cast<int>(s), plotter, drawing);
  }
  DrawRules(panel, plot, plotter, &labels, drawing);
  for (size_t s = 0; s < panel.series.size(); ++s) {
    const Series& series = panel.series[s];
    if (series.mark != Mark::kDots) {
      DrawLine(series, static_cast<int>(s), plotter, &labels, drawing);
    }
    for (size_t i = 0; i < series.points.size() && series.mark != Mark::kLine; ++i) {
      if (plotter.Shows(series.points[i])) {
        const Point at = plotter.At(series.points[i]);
        DrawMarker(at, series.colour, kMarkerRadius, Tip(panel, series, i), static_cast<int>(s),
                   drawing);
        labels.AvoidPoint(at);
      }
    }
  }
  NameRules(panel, plot, plotter, &labels, drawing);
  for (const Series& series : panel.series) {
    for (size_t i = 0; i < std::min(series.labels.size(), series.points.size()); ++i) {
      if (plotter.Shows(series.points[i]) && !series.labels[i].empty()) {
        labels.PlaceBeside(plotter.At(series.points[i]), series.labels[i]);
      }
    }
  }
}

}  // namespace scoville::sim::charts
