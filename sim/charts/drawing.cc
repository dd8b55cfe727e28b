#include "sim/charts/drawing.h"

#include <utility>

namespace scoville::sim::charts {

Shape& Drawing::AddLine(std::vector<Point> points, Colour colour, double line_width) {
  Shape shape;
  shape.kind = ShapeKind::kLine;
  shape.points = std::move(points);
  shape.colour = colour;
  shape.width = line_width;
  return shapes_.emplace_back(std::move(shape));
}

Shape& Drawing::AddArea(std::vector<Point> outline, Colour colour) {
  Shape shape;
  shape.kind = ShapeKind::kArea;
  shape.points = std::move(outline);
  shape.colour = colour;
  return shapes_.emplace_back(std::move(shape));
}

Shape& Drawing::AddBox(const Box& box, Colour colour) {
  return AddArea({{box.left, box.top},
                  {box.right(), box.top},
                  {box.right(), box.bottom()},
                  {box.left, box.bottom()}},
                 colour);
}

Shape& Drawing::AddText(Point at, absl::string_view text, const TextStyle& style) {
  Shape shape;
  shape.kind = ShapeKind::kText;
  shape.points = {at};
  shape.text = std::string(text);
  shape.style = style;
  return shapes_.emplace_back(std::move(shape));
}

}  // namespace scoville::sim::charts
