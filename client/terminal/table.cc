#include "client/terminal/table.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/terminal/text_width.h"

namespace scoville::client {
namespace {

struct Borders {
  const char* horizontal;
  const char* vertical;
  const char* top[3];  // left, between columns, right
  const char* middle[3];
  const char* bottom[3];
};

constexpr Borders kBox = {"─", "│", {"┌", "┬", "┐"}, {"├", "┼", "┤"}, {"└", "┴", "┘"}};
constexpr Borders kAscii = {"-", "|", {"+", "+", "+"}, {"+", "+", "+"}, {"+", "+", "+"}};

constexpr int kHidden = -1;

// A column costs its cells, a blank on either side and one border.
int TotalWidth(const std::vector<int>& widths) {
  int total = 1;
  for (int width : widths) {
    total += width == kHidden ? 0 : width + 3;
  }
  return total;
}

std::string Rule(const Borders& borders, const char* const corners[3], const char* between,
                 const std::vector<int>& widths) {
  std::string line = corners[0];
  bool first = true;
  for (int width : widths) {
    if (width == kHidden) {
      continue;
    }
    if (!first) {
      absl::StrAppend(&line, between);
    }
    first = false;
    for (int i = 0; i < width + 2; ++i) {
      absl::StrAppend(&line, borders.horizontal);
    }
  }
  return absl::StrCat(line, corners[2], "\n");
}

}  // namespace

void Table::AddRow(std::vector<TableCell> cells) {
  CHECK_EQ(cells.size(), columns_.size());
  for (TableCell& cell : cells) {
    cell.text = Printable(cell.text);
  }
  rows_.push_back(std::move(cells));
}

std::vector<int> Table::FitWidths(int limit) const {
  std::vector<int> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    int width = DisplayWidth(columns_[i].heading);
    for (const auto& row : rows_) {
      width = std::max(width, DisplayWidth(row[i].text));
    }
    widths.push_back(width);
  }
  if (limit <= 0) {
    return widths;
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    const int excess = TotalWidth(widths) - limit;
    if (excess > 0 && columns_[i].flexible) {
      widths[i] = std::max(DisplayWidth(columns_[i].heading), widths[i] - excess);
    }
  }
  for (size_t i = columns_.size(); i-- > 0;) {
    if (TotalWidth(widths) > limit && columns_[i].optional) {
      widths[i] = kHidden;
    }
  }
  return widths;
}

std::vector<std::string> Table::TitleLines(int width) const {
  constexpr absl::string_view kGap = "   ";
  std::vector<std::string> lines;
  for (const std::string& part : title_) {
    const std::string text = Printable(part);
    const int needed = DisplayWidth(text) + static_cast<int>(kGap.size());
    if (lines.empty() || DisplayWidth(lines.back()) + needed > width) {
      lines.push_back(text);
    } else {
      absl::StrAppend(&lines.back(), kGap, text);
    }
  }
  return lines;
}

std::string Table::Render(const Terminal& terminal) const {
  const Borders& borders = terminal.utf8 ? kBox : kAscii;
  const std::vector<int> widths = FitWidths(terminal.columns);
  const auto line = [&](const std::vector<TableCell>& cells) {
    std::string text;
    for (size_t i = 0; i < widths.size(); ++i) {
      if (widths[i] != kHidden) {
        absl::StrAppend(&text, borders.vertical, " ",
                        terminal.Styled(PadToWidth(cells[i].text, widths[i], columns_[i].right),
                                        cells[i].style),
                        " ");
      }
    }
    return absl::StrCat(text, borders.vertical, "\n");
  };
  std::vector<TableCell> headings;
  for (const TableColumn& column : columns_) {
    headings.push_back({column.heading, Style::kBold});
  }
  std::string out;
  if (title_.empty()) {
    out = Rule(borders, borders.top, borders.top[1], widths);
  } else {
    const int inside = TotalWidth(widths) - 4;
    out = Rule(borders, borders.top, borders.horizontal, widths);
    for (const std::string& title : TitleLines(inside)) {
      absl::StrAppend(&out, borders.vertical, " ", PadToWidth(title, inside, false), " ",
                      borders.vertical, "\n");
    }
    absl::StrAppend(&out, Rule(borders, borders.middle, borders.top[1], widths));
  }
  absl::StrAppend(&out, line(headings), Rule(borders, borders.middle, borders.middle[1], widths));
  for (const auto& row : rows_) {
    absl::StrAppend(&out, line(row));
  }
  return absl::StrCat(out, Rule(borders, borders.bottom, borders.bottom[1], widths));
}

}  // namespace scoville::client
