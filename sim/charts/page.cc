#include "sim/charts/page.h"

#include "absl/strings/str_cat.h"
#include "sim/charts/drawing.h"

namespace scoville::sim::charts {

namespace {

constexpr const char* kStyle = R"css(
body { font: 15px/1.5 'DejaVu Sans', Verdana, sans-serif; color: #222; background: #fff;
       max-width: 1000px; margin: 32px auto; padding: 0 20px; }
h1 { font-size: 24px; margin: 0 0 8px; }
.lead { font-size: 16px; margin: 0 0 16px; }
.banner { border-left: 5px solid #d55e00; background: #fdf1e8; padding: 8px 14px; margin: 12px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 16px 0 24px; }
dt { color: #5c5c5c; } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 24px 0; border: 1px solid #e4e4e4; border-radius: 4px; }
svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; margin: 24px 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: bold; font-size: 15px; padding: 0 0 8px; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap;
         border-bottom: 1px solid #e4e4e4; }
th { vertical-align: bottom; border-bottom: 2px solid #8c8c8c; }
.text { text-align: left; }
ul { padding-left: 20px; color: #444; font-size: 13px; }
)css";

}  // namespace

std::string ToHtml(const Page& page) {
  std::string out = absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      EscapeHtml(page.title), "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<h1>",
      EscapeHtml(page.title), "</h1>\n<p class=\"lead\">", EscapeHtml(page.lead), "</p>\n");
  for (const std::string& banner : page.banners) {
    absl::StrAppend(&out, "<p class=\"banner\">", EscapeHtml(banner), "</p>\n");
  }
  out += "<dl>\n";
  for (const auto& [name, value] : page.facts) {
    absl::StrAppend(&out, "<dt>", EscapeHtml(name), "</dt><dd>", EscapeHtml(value), "</dd>\n");
  }
  out += "</dl>\n";
  for (const Figure& figure : page.figures) {
    absl::StrAppend(&out, "<figure>\n",
                    ToSvg(Draw(figure), absl::StrCat(figure.title, ". ", figure.subtitle)),
                    "</figure>\n");
  }
  for (const Table& table : page.tables) {
    out += ToHtml(table);
  }
  if (!page.notes.empty()) {
    out += "<ul>\n";
    for (const std::string& note : page.notes) {
      absl::StrAppend(&out, "<li>", EscapeHtml(note), "</li>\n");
    }
    out += "</ul>\n";
  }
  return out + "</body>\n</html>\n";
}

}  // namespace scoville::sim::charts
