// Reads a CSV file of measured numbers: a header line that names the columns, then rows. No
// quoting; LF or CRLF; empty lines are skipped.
//
// Units: as the file's. Ownership: the table borrows the text. Threading: immutable after it is
// made. Errors: InvalidArgument "file:line: what, what is allowed". A file beyond kMostBytes,
// kMostRows or kMostColumns is refused.
#ifndef SCOVILLE_DEVICE_PHYSICS_TABLES_CSV_TABLE_H_
#define SCOVILLE_DEVICE_PHYSICS_TABLES_CSV_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace scoville::device {

class CsvTable {
 public:
  static constexpr size_t kMostBytes = size_t{64} << 20;
  static constexpr size_t kMostRows = 200'000;
  static constexpr size_t kMostColumns = 64;

  // Every name of `columns` must stand in the header, in any order; other columns are ignored.
  static absl::StatusOr<CsvTable> Parse(absl::string_view text, absl::string_view file,
                                        absl::Span<const absl::string_view> columns);

  size_t rows() const { return lines_.size(); }
  // By the order of `columns` above.
  absl::string_view Text(size_t row, size_t column) const {
    return fields_[row * columns_.size() + column];
  }
  // A whole number from 0 to 1e9.
  absl::StatusOr<double> Count(size_t row, size_t column) const;
  // Seconds from microseconds above 0, at most an hour.
  absl::StatusOr<double> Time(size_t row, size_t column) const;

  absl::Status Error(size_t row, absl::string_view what) const;
  // Of the file as a whole.
  absl::Status Error(absl::string_view what) const;

 private:
  std::string file_;
  std::vector<std::string> columns_;
  std::vector<absl::string_view> fields_;
  std::vector<int64_t> lines_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_TABLES_CSV_TABLE_H_
