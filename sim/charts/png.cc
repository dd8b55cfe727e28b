// A drawing as PNG bytes, and the widths of texts: the part that needs cairo.
#include <cairo.h>

#include <cmath>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "sim/charts/drawing.h"

namespace scoville::sim::charts {

namespace {

constexpr const char* kFont = "DejaVu Sans";

struct DestroySurface {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct DestroyContext {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};
using Surface = std::unique_ptr<cairo_surface_t, DestroySurface>;
using Context = std::unique_ptr<cairo_t, DestroyContext>;

void SetColour(cairo_t* context, Colour colour, double opacity) {
  cairo_set_source_rgba(context, ((colour >> 16) & 255) / 255.0, ((colour >> 8) & 255) / 255.0,
                        (colour & 255) / 255.0, opacity);
}

void SetFont(cairo_t* context, double size, bool bold) {
  cairo_select_font_face(context, kFont, CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context, size);
  // Widths that do not depend on the scale: no fitting of glyphs to the pixel grid.
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(context, options);
  cairo_font_options_destroy(options);
}

double Width(cairo_t* context, const std::string& text) {
  cairo_text_extents_t extents;
  cairo_text_extents(context, text.c_str(), &extents);
  return extents.x_advance;
}

void DrawText(cairo_t* context, const Shape& shape) {
  const TextStyle& style = shape.style;
  SetFont(context, style.size, style.bold);
  SetColour(context, style.colour, 1);
  const double share = style.anchor == Anchor::kStart ? 0 : style.anchor == Anchor::kEnd ? 1 : 0.5;
  const double shift = share > 0 ? share * Width(context, shape.text) : 0;
  cairo_move_to(context, shape.points[0].x - shift, shape.points[0].y);
  cairo_show_text(context, shape.text.c_str());
}

void DrawPath(cairo_t* context, const Shape& shape) {
  cairo_new_path(context);
  for (const Point& p : shape.points) {
    cairo_line_to(context, p.x, p.y);
  }
  SetColour(context, shape.colour, shape.opacity);
  if (shape.kind == ShapeKind::kArea) {
    cairo_close_path(context);
    cairo_fill(context);
    return;
  }
  cairo_set_line_width(context, shape.width);
  cairo_set_dash(context, shape.dash.data(), static_cast<int>(shape.dash.size()), 0);
  cairo_stroke(context);
}

cairo_status_t Append(void* out, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

}  // namespace

double TextWidth(absl::string_view text, double size, bool bold) {
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1));
  const Context context(cairo_create(surface.get()));
  SetFont(context.get(), size, bold);
  return Width(context.get(), std::string(text));
}

absl::StatusOr<std::string> ToPng(const Drawing& drawing, double scale) {
  const Surface surface(cairo_image_surface_create(
      CAIRO_FORMAT_RGB24, static_cast<int>(std::ceil(drawing.width() * scale)),
      static_cast<int>(std::ceil(drawing.height() * scale))));
  const Context context(cairo_create(surface.get()));
  cairo_scale(context.get(), scale, scale);
  cairo_set_line_join(context.get(), CAIRO_LINE_JOIN_ROUND);
  for (const Shape& shape : drawing.shapes()) {
    if (shape.kind == ShapeKind::kText) {
      DrawText(context.get(), shape);
    } else {
      DrawPath(context.get(), shape);
    }
  }
  std::string png;
  cairo_status_t status = cairo_status(context.get());
  if (status == CAIRO_STATUS_SUCCESS) {
    status = cairo_surface_write_to_png_stream(surface.get(), Append, &png);
  }
  if (status != CAIRO_STATUS_SUCCESS) {
    return absl::InternalError(absl::StrCat("a picture of ", drawing.width(), " x ",
                                            drawing.height(),
                                            " pixels: ", cairo_status_to_string(status)));
  }
  return png;
}

}  // namespace scoville::sim::charts
