// A drawing as SVG text.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/charts/drawing.h"

namespace scoville::sim::charts {

namespace {

// Two digits, without the zeros at the end; never "-0".
std::string Number(double value) {
  std::string text = absl::StrFormat("%.2f", value);
  while (text.back() == '0') {
    text.pop_back();
  }
  if (text.back() == '.') {
    text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

std::string Hex(Colour colour) { return absl::StrFormat("#%06x", colour); }

std::string Path(const Shape& shape, bool closed) {
  std::string path;
  for (size_t i = 0; i < shape.points.size(); ++i) {
    absl::StrAppend(&path, i == 0 ? "M" : "L", Number(shape.points[i].x), " ",
                    Number(shape.points[i].y));
  }
  return closed ? path + "Z" : path;
}

void AppendText(const Shape& shape, std::string* out) {
  static constexpr const char* kAnchors[] = {"start", "middle", "end"};
  const TextStyle& style = shape.style;
  absl::StrAppend(out, "<text x=\"", Number(shape.points[0].x), "\" y=\"",
                  Number(shape.points[0].y), "\" font-size=\"", Number(style.size), "\" fill=\"",
                  Hex(style.colour), "\"");
  if (style.bold) {
    absl::StrAppend(out, " font-weight=\"bold\"");
  }
  if (style.anchor != Anchor::kStart) {
    absl::StrAppend(out, " text-anchor=\"", kAnchors[static_cast<int>(style.anchor)], "\"");
  }
  absl::StrAppend(out, ">", EscapeHtml(shape.text), "</text>\n");
}

void AppendPath(const Shape& shape, std::string* out) {
  const bool area = shape.kind == ShapeKind::kArea;
  absl::StrAppend(out, "<path d=\"", Path(shape, area), "\"");
  if (area) {
    absl::StrAppend(out, " fill=\"", Hex(shape.colour), "\"");
    if (shape.opacity < 1) {
      absl::StrAppend(out, " fill-opacity=\"", Number(shape.opacity), "\"");
    }
  } else {
    absl::StrAppend(out, " fill=\"none\" stroke=\"", Hex(shape.colour), "\" stroke-width=\"",
                    Number(shape.width), "\"");
    for (size_t i = 0; i < shape.dash.size(); ++i) {
      absl::StrAppend(out, i == 0 ? " stroke-dasharray=\"" : " ", Number(shape.dash[i]),
                      i + 1 == shape.dash.size() ? "\"" : "");
    }
  }
  if (shape.tip.empty()) {
    absl::StrAppend(out, "/>\n");
  } else {
    absl::StrAppend(out, "><title>", EscapeHtml(shape.tip), "</title></path>\n");
  }
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        // Control characters are no text; XML forbids most of them.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

std::string ToSvg(const Drawing& drawing, absl::string_view alt) {
  const std::string width = Number(drawing.width());
  const std::string height = Number(drawing.height());
  std::string out = absl::StrCat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", width, " ", height, "\" width=\"",
      width, "\" height=\"", height, "\" role=\"img\" aria-label=\"", EscapeHtml(alt),
      "\" font-family=\"'DejaVu Sans', Verdana, sans-serif\" stroke-linejoin=\"round\" "
      "stroke-linecap=\"butt\">\n");
  for (const Shape& shape : drawing.shapes()) {
    if (shape.kind == ShapeKind::kText) {
      AppendText(shape, &out);
    } else {
      AppendPath(shape, &out);
    }
  }
  return out + "</svg>\n";
}

}  // namespace scoville::sim::charts
