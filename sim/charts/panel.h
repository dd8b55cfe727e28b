// One panel of a figure: measured first, so that panels below each other share their margins, then
// drawn.
//
// Ownership: borrows the panel it is given. Threading: pure. Errors: none.
#ifndef SCOVILLE_SIM_CHARTS_PANEL_H_
#define SCOVILLE_SIM_CHARTS_PANEL_H_

#include <string>
#include <vector>

#include "sim/charts/figure.h"

namespace scoville::sim::charts {

inline constexpr Colour kInk = 0x222222;
inline constexpr Colour kFaintInk = 0x5c5c5c;
inline constexpr Colour kGridColour = 0xe4e4e4;
inline constexpr Colour kFaintGridColour = 0xf2f2f2;
inline constexpr Colour kAxisColour = 0x8c8c8c;
inline constexpr Colour kPaper = 0xffffff;

inline constexpr double kTitleSize = 18;
inline constexpr double kTextSize = 13;
inline constexpr double kSmallSize = 12;

// What stands around a plot.
struct Margins {
  double left = 0;
  double right = 0;
  double top = 0;
  double bottom = 0;
};

// The axes for a plot of about this size.
struct PanelAxes {
  Axis x, y;
};

PanelAxes MakeAxes(const XyPanel& panel, double width, double height);
Axis MakeAxis(const BarPanel& panel, double length);

Margins MarginsOf(const XyPanel& panel, const PanelAxes& axes);
// `width` of the panel with its margins.
Margins MarginsOf(const BarPanel& panel, const Axis& axis, double width);
// Of the plot.
double HeightOf(const BarPanel& panel, double upright_height);

void DrawPanel(const XyPanel& panel, const PanelAxes& axes, const Box& plot, Drawing* drawing);
void DrawPanel(const BarPanel& panel, const Axis& axis, const Box& plot, Drawing* drawing);

// Of a series' points and of its entry in the legend; `colour` picks the form too.
void DrawMarker(Point at, int colour, double radius, const std::string& tip, int series,
                Drawing* drawing);
std::vector<double> DashOf(bool dashed);

}  // namespace scoville::sim::charts

#endif  // SCOVILLE_SIM_CHARTS_PANEL_H_
