// A picture as a list of shapes: made once, written as PNG or as SVG by the same list.
//
// The SVG has real text (it can be searched and copied) and no ids, so several pictures fit one
// page. Numbers are written with a fixed count of digits: equal lists give equal text.
//
// Units: pixels from the top left corner, before `scale`. Ownership: a value. Threading: pure.
// Errors: none while drawing; Internal when cairo cannot write a PNG.
#ifndef SCOVILLE_SIM_CHARTS_DRAWING_H_
#define SCOVILLE_SIM_CHARTS_DRAWING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace scoville::sim::charts {

struct Point {
  double x = 0;
  double y = 0;

  friend bool operator==(const Point&, const Point&) = default;
};

struct Box {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;

  double right() const { return left + width; }
  double bottom() const { return top + height; }
  bool Contains(Point p, double slack = 0) const {
    return p.x >= left - slack && p.x <= right() + slack && p.y >= top - slack &&
           p.y <= bottom() + slack;
  }
  bool Overlaps(const Box& o) const {
    return left < o.right() && o.left < right() && top < o.bottom() && o.top < bottom();
  }
};

// 0xRRGGBB.
using Colour = uint32_t;

enum class Anchor : uint8_t { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = 12;
  Colour colour = 0;
  bool bold = false;
  Anchor anchor = Anchor::kStart;
};

enum class ShapeKind : uint8_t { kLine, kArea, kText };

// A line through `points`, an area within them, or a text whose baseline starts, ends or is centred
// at the one point.
struct Shape {
  ShapeKind kind = ShapeKind::kLine;
  std::vector<Point> points;
  Colour colour = 0;
  double opacity = 1;
  double width = 1;          // of a line
  std::vector<double> dash;  // of a line; empty: solid
  std::string text;          // of a text
  TextStyle style;           // of a text
  std::string tip;           // what a page shows while the pointer rests on it
  int series = -1;           // whose data this shows; -1: nobody's
};

class Drawing {
 public:
  Drawing(double width, double height) : width_(width), height_(height) {}

  double width() const { return width_; }
  double height() const { return height_; }
  const std::vector<Shape>& shapes() const { return shapes_; }

  // Each returns the shape, to be refined at once.
  Shape& AddLine(std::vector<Point> points, Colour colour, double line_width = 1);
  Shape& AddArea(std::vector<Point> outline, Colour colour);
  Shape& AddBox(const Box& box, Colour colour);
  Shape& AddText(Point at, absl::string_view text, const TextStyle& style);

 private:
  double width_;
  double height_;
  std::vector<Shape> shapes_;
};

// As the PNG will show it; the SVG asks for the same font.
double TextWidth(absl::string_view text, double size, bool bold = false);

// `alt` says in a sentence what is to be seen.
std::string ToSvg(const Drawing& drawing, absl::string_view alt);
absl::StatusOr<std::string> ToPng(const Drawing& drawing, double scale = 2);

// Safe within elements and quoted attributes.
std::string EscapeHtml(absl::string_view text);

}  // namespace scoville::sim::charts

#endif  // SCOVILLE_SIM_CHARTS_DRAWING_H_
