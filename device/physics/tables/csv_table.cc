#include "device/physics/tables/csv_table.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace scoville::device {

namespace {

constexpr double kMicroseconds = 1e-6;
constexpr double kLongest = 3600.0;  // seconds
constexpr double kLargestCount = 1e9;
// What an error shows of a field.
constexpr size_t kShown = 40;

absl::Status At(absl::string_view file, int64_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file, ":", line, ": ", what));
}

}  // namespace

absl::StatusOr<CsvTable> CsvTable::Parse(absl::string_view text, absl::string_view file,
                                         absl::Span<const absl::string_view> columns) {
  CsvTable table;
  table.file_ = std::string(file);
  for (absl::string_view column : columns) {
    table.columns_.emplace_back(column);
  }
  if (text.size() > kMostBytes) {
    return table.Error(
        absl::StrCat("has ", text.size(), " bytes, at most ", kMostBytes, " are read"));
  }
  std::vector<size_t> where;  // of each wanted column in the file
  size_t width = 0;
  int64_t line = 0;
  for (absl::string_view row : absl::StrSplit(text, '\n')) {
    ++line;
    row = absl::StripSuffix(row, "\r");
    if (row.empty() && line > 1) {
      continue;
    }
    const std::vector<absl::string_view> fields =
        absl::StrSplit(row, absl::MaxSplits(',', kMostColumns));
    if (line == 1) {
      for (absl::string_view column : columns) {
        const auto found = std::find(fields.begin(), fields.end(), column);
        if (found == fields.end() || std::count(fields.begin(), fields.end(), column) != 1) {
          return At(file, 1,
                    absl::StrCat("the header must name each of these columns once: ",
                                 absl::StrJoin(columns, ",")));
        }
        where.push_back(static_cast<size_t>(found - fields.begin()));
      }
      width = fields.size();
      continue;
    }
    if (fields.size() != width) {
      return At(file, line, absl::StrCat("has ", fields.size(), " fields, the header has ", width));
    }
    if (table.lines_.size() == kMostRows) {
      return At(file, line, absl::StrCat("more than ", kMostRows, " rows"));
    }
    table.lines_.push_back(line);
    for (size_t column : where) {
      table.fields_.push_back(fields[column]);
    }
  }
  if (table.lines_.empty()) {
    return table.Error("has no rows");
  }
  return table;
}

absl::StatusOr<double> CsvTable::Count(size_t row, size_t column) const {
  int64_t value = 0;
  if (!absl::SimpleAtoi(Text(row, column), &value) || value < 0 ||
      static_cast<double>(value) > kLargestCount) {
    return Error(row, absl::StrCat(columns_[column], " is '", Text(row, column).substr(0, kShown),
                                   "', a whole number from 0 to 1e9 is expected"));
  }
  return static_cast<double>(value);
}

absl::StatusOr<double> CsvTable::Time(size_t row, size_t column) const {
  double value = 0;
  if (!absl::SimpleAtod(Text(row, column), &value) || !std::isfinite(value) || !(value > 0) ||
      value * kMicroseconds > kLongest) {
    return Error(row, absl::StrCat(columns_[column], " is '", Text(row, column).substr(0, kShown),
                                   "', microseconds above 0 and at most 3.6e9 are expected"));
  }
  return value * kMicroseconds;
}

absl::Status CsvTable::Error(size_t row, absl::string_view what) const {
  return At(file_, lines_[row], what);
}

absl::Status CsvTable::Error(absl::string_view what) const { return At(file_, 1, what); }

}  // namespace scoville::device
