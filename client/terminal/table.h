// A table of text in a box, drawn to fit the terminal.
//
// Columns are as wide as their widest cell; when the whole is wider than the terminal, flexible
// columns are cut first (each to its heading's width at least), then the columns that may be left
// out, from the right.
//
// Units: cells of the terminal. Ownership: a plain value. Threading: one thread. Errors: a row
// with another number of cells than there are columns is a CHECK failure.
#ifndef SCOVILLE_CLIENT_TERMINAL_TABLE_H_
#define SCOVILLE_CLIENT_TERMINAL_TABLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/terminal/terminal.h"

namespace scoville::client {

struct TableColumn {
  std::string heading;
  bool right = false;     // aligned to the right, as numbers are
  bool flexible = false;  // may be cut with an ellipsis
  bool optional = false;  // may be left out
};

struct TableCell {
  std::string text;
  Style style = Style::kPlain;
};

class Table {
 public:
  explicit Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

  // Above the headings: as many of these on one line as the table is wide.
  void SetTitle(std::vector<std::string> parts) { title_ = std::move(parts); }
  void AddRow(std::vector<TableCell> cells);

  std::string Render(const Terminal& terminal) const;

 private:
  std::vector<int> FitWidths(int limit) const;
  // In lines of at most `width` cells.
  std::vector<std::string> TitleLines(int width) const;

  std::vector<TableColumn> columns_;
  std::vector<std::string> title_;
  std::vector<std::vector<TableCell>> rows_;
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_TERMINAL_TABLE_H_
