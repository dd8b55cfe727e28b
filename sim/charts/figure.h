// Pictures of numbers: panels of lines, points or bars under one title and one legend.
//
// Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), told apart by people with any
// common colour blindness; markers differ in shape too. Every point lies in its panel's plot.
// Points whose values are not finite, or not above zero on a logarithmic axis, break the line.
//
// Units: pixels; values in whatever unit their axis names. Ownership: values. Threading: pure.
// Errors: none.
#ifndef SCOVILLE_SIM_CHARTS_FIGURE_H_
#define SCOVILLE_SIM_CHARTS_FIGURE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "sim/charts/axis.h"
#include "sim/charts/drawing.h"

namespace scoville::sim::charts {

// Indices above the palette's end begin again; kGrey is for what only gives scale.
inline constexpr int kGrey = -1;
inline constexpr int kPaletteColours = 7;
Colour PaletteColour(int index);

enum class Mark : uint8_t { kLine, kDots, kLineAndDots };

struct Series {
  std::string name;  // in the legend; series of one name and colour share an entry
  int colour = 0;
  Mark mark = Mark::kLineAndDots;
  bool dashed = false;
  std::vector<Point> points = {};
  std::vector<std::string> labels = {};     // beside the points, where there is room; or empty
  std::vector<double> low = {}, high = {};  // a band around the points; or empty
};

// A line across the plot with a word at its end.
struct Rule {
  bool upright = false;
  double at = 0;
  std::string label;
};

struct XyPanel {
  AxisOptions x, y;  // the label of y is the panel's heading
  std::vector<Series> series;
  std::vector<Rule> rules;
};

struct Segment {
  std::string name;  // in the legend; empty: not there
  int colour = 0;
  double from = 0;
  double to = 0;
};

struct Bar {
  std::string label;
  std::vector<Segment> segments;
  std::string value;                 // written at the bar's end
  std::vector<double> whisker = {};  // {low, high}; or empty
};

// Upright bars stand side by side, the others lie below each other.
struct BarPanel {
  AxisOptions axis;           // of the bars' lengths; its label is the panel's heading
  std::string category_axis;  // what the labels count; under upright bars
  bool upright = false;
  std::vector<Bar> bars;
};

using Panel = std::variant<XyPanel, BarPanel>;

struct Figure {
  std::string title;
  std::string subtitle;
  std::string footer;
  int columns = 2;
  double width = 960;
  double panel_height = 250;  // of the plot; lying bars take what they need
  std::vector<Panel> panels;
};

// `plots`, where given, is told each panel's plot area.
Drawing Draw(const Figure& figure, std::vector<Box>* plots = nullptr);

}  // namespace scoville::sim::charts

#endif  // SCOVILLE_SIM_CHARTS_FIGURE_H_
