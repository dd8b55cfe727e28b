#include "sim/charts/table.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "sim/charts/axis.h"
#include "sim/charts/drawing.h"

namespace scoville::sim::charts {

namespace {

std::string Shown(const Column& column, const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) {
    return *text;
  }
  const double value = std::get<double>(cell);
  if (!std::isfinite(value)) {
    return "-";
  }
  return column.decimals < 0 ? Rounded(value) : Fixed(value, column.decimals);
}

// Cells on a terminal: UTF-8 bytes that do not continue a character.
size_t Cells(absl::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

bool IsText(const Table& table, size_t column) {
  return !table.rows.empty() && std::holds_alternative<std::string>(table.rows[0][column]);
}

std::string CsvText(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) {
    return text;
  }
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

}  // namespace

void Table::Add(std::vector<Cell> row) {
  CHECK_EQ(row.size(), columns.size());
  rows.push_back(std::move(row));
}

std::string ToText(const Table& table) {
  std::vector<size_t> widths;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    size_t width = Cells(table.columns[c].heading);
    for (const std::vector<Cell>& row : table.rows) {
      width = std::max(width, Cells(Shown(table.columns[c], row[c])));
    }
    widths.push_back(width);
  }
  const auto line = [&](const auto& text_of) {
    std::string out;
    for (size_t c = 0; c < table.columns.size(); ++c) {
      const std::string text = text_of(c);
      const std::string room(widths[c] - Cells(text), ' ');
      absl::StrAppend(&out, "  ", IsText(table, c) ? text + room : room + text);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out + "\n";
  };
  std::string out = table.title.empty() ? "" : table.title + "\n";
  out += line([&](size_t c) { return table.columns[c].heading; });
  for (const std::vector<Cell>& row : table.rows) {
    out += line([&](size_t c) { return Shown(table.columns[c], row[c]); });
  }
  return out;
}

std::string ToCsv(const Table& table) {
  std::string out =
      absl::StrJoin(table.columns, ",",
                    [](std::string* o, const Column& column) { *o += CsvText(column.key); }) +
      "\n";
  for (const std::vector<Cell>& row : table.rows) {
    out += absl::StrJoin(row, ",", [](std::string* o, const Cell& cell) {
      if (const auto* text = std::get_if<std::string>(&cell)) {
        *o += CsvText(*text);
      } else if (std::isfinite(std::get<double>(cell))) {
        *o += absl::StrFormat("%.10g", std::get<double>(cell));
      }
    });
    out += "\n";
  }
  return out;
}

std::string ToHtml(const Table& table) {
  std::string out = "<div class=\"scroll\"><table>\n";
  if (!table.title.empty()) {
    absl::StrAppend(&out, "<caption>", EscapeHtml(table.title), "</caption>\n");
  }
  out += "<thead><tr>";
  for (size_t c = 0; c < table.columns.size(); ++c) {
    absl::StrAppend(&out, IsText(table, c) ? "<th class=\"text\">" : "<th>",
                    EscapeHtml(table.columns[c].heading), "</th>");
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<Cell>& row : table.rows) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c) {
      absl::StrAppend(&out, IsText(table, c) ? "<td class=\"text\">" : "<td>",
                      EscapeHtml(Shown(table.columns[c], row[c])), "</td>");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string ToJson(const Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::vector<Cell>& row : table.rows) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (size_t c = 0; c < row.size(); ++c) {
      if (const auto* text = std::get_if<std::string>(&row[c])) {
        object[table.columns[c].key] = *text;
      } else if (const double value = std::get<double>(row[c]); std::isfinite(value)) {
        object[table.columns[c].key] = value;
      } else {
        object[table.columns[c].key] = nullptr;
      }
    }
    rows.push_back(std::move(object));
  }
  return rows.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace scoville::sim::charts
