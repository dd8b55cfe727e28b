// Bars of segments, upright or lying.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "sim/charts/panel.h"

namespace scoville::sim::charts {

namespace {

constexpr double kPixelsPerTick = 62;
constexpr double kPixelsPerUprightTick = 44;
constexpr double kRowPitch = 24;
constexpr double kBarShare = 0.66;  // of a bar's pitch

std::string Tip(const Bar& bar, const Segment& segment) {
  return absl::StrCat(bar.label, segment.name.empty() ? "" : absl::StrCat(", ", segment.name), ": ",
                      segment.from == 0 ? Rounded(segment.to) : Rounded(segment.to - segment.from));
}

// How far the values written at the ends of lying bars reach beyond a plot of this width.
double ValueOverhang(const BarPanel& panel, const Axis& axis, double width) {
  double overhang = 0;
  for (const Bar& bar : panel.bars) {
    double end = 0;
    for (const Segment& segment : bar.segments) {
      end = std::max({end, segment.from, segment.to});
    }
    for (const double value : bar.whisker) {
      end = std::max(end, value);
    }
    const double reach = axis.Position(end) * width + 5 + TextWidth(bar.value, kSmallSize);
    overhang = std::max(overhang, bar.value.empty() ? 0 : reach - width);
  }
  return overhang;
}

class BarPlotter {
 public:
  BarPlotter(const BarPanel& panel, const Axis& axis, const Box& plot, Drawing* drawing)
      : panel_(panel), axis_(axis), plot_(plot), drawing_(drawing) {
    const double length = panel.upright ? plot.width : plot.height;
    pitch_ = length / static_cast<double>(std::max<size_t>(panel.bars.size(), 1));
  }

  void Draw() {
    DrawGrid();
    for (size_t i = 0; i < panel_.bars.size(); ++i) {
      DrawBar(i);
    }
    const double zero = Along(std::clamp(0.0, axis_.low, axis_.high));
    if (panel_.upright) {
      drawing_->AddLine({{plot_.left, zero}, {plot_.right(), zero}}, kAxisColour, 1.2);
    } else {
      drawing_->AddLine({{zero, plot_.top}, {zero, plot_.bottom()}}, kAxisColour, 1.2);
    }
    drawing_->AddText({panel_.upright ? plot_.left : plot_.left - label_width(), plot_.top - 12},
                      panel_.axis.label, {.size = kTextSize, .colour = kInk, .bold = true});
  }

 private:
  double label_width() const {
    double width = 0;
    for (const Bar& bar : panel_.bars) {
      width = std::max(width, bar.label.empty() ? 0 : TextWidth(bar.label, kSmallSize) + 9);
    }
    return width;
  }
  double Along(double value) const {
    const double position = axis_.Position(value);
    return panel_.upright ? plot_.bottom() - position * plot_.height
                          : plot_.left + position * plot_.width;
  }
  double Middle(size_t i) const {
    return (panel_.upright ? plot_.left : plot_.top) + (static_cast<double>(i) + 0.5) * pitch_;
  }

  void DrawGrid() {
    for (const Tick& tick : axis_.ticks) {
      const double at = Along(tick.value);
      if (panel_.upright) {
        drawing_->AddLine({{plot_.left, at}, {plot_.right(), at}}, kGridColour);
        drawing_->AddText({plot_.left - 7, at + 0.35 * kSmallSize}, tick.label,
                          {.size = kSmallSize, .colour = kFaintInk, .anchor = Anchor::kEnd});
      } else {
        drawing_->AddLine({{at, plot_.top}, {at, plot_.bottom()}}, kGridColour);
        drawing_->AddText({at, plot_.bottom() + 17}, tick.label,
                          {.size = kSmallSize, .colour = kFaintInk, .anchor = Anchor::kMiddle});
      }
    }
    if (panel_.upright && !panel_.category_axis.empty()) {
      drawing_->AddText({plot_.left + plot_.width / 2, plot_.bottom() + 36}, panel_.category_axis,
                        {.size = kSmallSize, .colour = kInk, .anchor = Anchor::kMiddle});
    }
  }

  void DrawBar(size_t i) {
    const Bar& bar = panel_.bars[i];
    const double half = pitch_ * kBarShare / 2;
    const double middle = Middle(i);
    double end = Along(std::clamp(0.0, axis_.low, axis_.high));
    for (const Segment& segment : bar.segments) {
      if (!std::isfinite(segment.from) || !std::isfinite(segment.to)) {
        continue;
      }
      const double a = Along(segment.from);
      const double b = Along(segment.to);
      const Box box = panel_.upright
                          ? Box{middle - half, std::min(a, b), 2 * half, std::abs(a - b)}
                          : Box{std::min(a, b), middle - half, std::abs(a - b), 2 * half};
      Shape& shape = drawing_->AddBox(box, PaletteColour(segment.colour));
      shape.tip = Tip(bar, segment);
      shape.series = static_cast<int>(i);
      end = panel_.upright ? std::min({end, a, b}) : std::max({end, a, b});
    }
    end = DrawWhisker(bar, middle, half, end);
    DrawWords(bar, middle, end);
  }

  double DrawWhisker(const Bar& bar, double middle, double half, double end) {
    if (bar.whisker.size() != 2 || panel_.upright) {
      return end;
    }
    const double low = Along(bar.whisker[0]);
    const double high = Along(bar.whisker[1]);
    drawing_->AddLine({{low, middle}, {high, middle}}, kInk, 1.4).series = 0;
    for (const double x : {low, high}) {
      drawing_->AddLine({{x, middle - half / 2}, {x, middle + half / 2}}, kInk, 1.4).series = 0;
    }
    return std::max(end, high);
  }

  void DrawWords(const Bar& bar, double middle, double end) {
    const TextStyle faint{.size = kSmallSize, .colour = kFaintInk, .anchor = Anchor::kMiddle};
    if (panel_.upright) {
      drawing_->AddText({middle, plot_.bottom() + 17}, bar.label, faint);
      if (!bar.value.empty()) {
        drawing_->AddText({middle, end - 5}, bar.value, faint);
      }
      return;
    }
    const double baseline = middle + 0.35 * kSmallSize;
    drawing_->AddText({plot_.left - 7, baseline}, bar.label,
                      {.size = kSmallSize, .colour = kInk, .anchor = Anchor::kEnd});
    if (!bar.value.empty()) {
      drawing_->AddText({end + 5, baseline}, bar.value, {.size = kSmallSize, .colour = kInk});
    }
  }

  const BarPanel& panel_;
  const Axis& axis_;
  const Box& plot_;
  Drawing* drawing_;
  double pitch_ = 0;
};

}  // namespace

Axis MakeAxis(const BarPanel& panel, double length) {
  std::vector<double> ends = {0};
  for (const Bar& bar : panel.bars) {
    for (const Segment& segment : bar.segments) {
      ends.push_back(segment.from);
      ends.push_back(segment.to);
    }
    ends.insert(ends.end(), bar.whisker.begin(), bar.whisker.end());
  }
  return MakeAxis(
      panel.axis, ends,
      static_cast<int>(length / (panel.upright ? kPixelsPerUprightTick : kPixelsPerTick)));
}

Margins MarginsOf(const BarPanel& panel, const Axis& axis, double width) {
  Margins m{.left = 0, .right = 14, .top = 32, .bottom = 26};
  if (panel.upright) {
    for (const Tick& tick : axis.ticks) {
      m.left = std::max(m.left, TextWidth(tick.label, kSmallSize) + 9);
    }
    m.bottom = panel.category_axis.empty() ? 26 : 46;
    return m;
  }
  for (const Bar& bar : panel.bars) {
    m.left = std::max(m.left, TextWidth(bar.label, kSmallSize) + 9);
  }
  // A narrower plot leaves the values less room: by a quarter of its width at the most.
  m.right = std::max(m.right, 4 + ValueOverhang(panel, axis, 0.75 * (width - m.left)));
  return m;
}

double HeightOf(const BarPanel& panel, double upright_height) {
  return panel.upright ? upright_height : kRowPitch * static_cast<double>(panel.bars.size());
}

void DrawPanel(const BarPanel& panel, const Axis& axis, const Box& plot, Drawing* drawing) {
  BarPlotter(panel, axis, plot, drawing).Draw();
}

}  // namespace scoville::sim::charts
