// A table of figures: aligned text for a terminal, CSV and JSON for programs, HTML for a page.
//
// CSV and JSON hold the values in full, by stable keys that name their unit; people get rounded
// ones under headings. A value that is not finite is "-", empty in CSV, null in JSON.
//
// Ownership: a value. Threading: pure. Errors: none; a row of another length than the columns is a
// CHECK failure.
#ifndef SCOVILLE_SIM_CHARTS_TABLE_H_
#define SCOVILLE_SIM_CHARTS_TABLE_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace scoville::sim::charts {

struct Column {
  std::string key;      // output_tokens_per_s
  std::string heading;  // short, with the unit
  int decimals = -1;    // -1: three significant digits
};

using Cell = std::variant<std::string, double>;

struct Table {
  std::string title;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;

  void Add(std::vector<Cell> row);
};

std::string ToText(const Table& table);
std::string ToCsv(const Table& table);
std::string ToHtml(const Table& table);
// An array of objects.
std::string ToJson(const Table& table);

}  // namespace scoville::sim::charts

#endif  // SCOVILLE_SIM_CHARTS_TABLE_H_
