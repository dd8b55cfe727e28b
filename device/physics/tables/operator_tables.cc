#include "device/physics/tables/operator_tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "device/physics/tables/csv_table.h"

namespace scoville::device {

namespace {

constexpr int kPrefill = static_cast<int>(StepRole::kPrefill);
constexpr int kDecode = static_cast<int>(StepRole::kDecode);

// How often a pass runs an operator: so many times a layer, or once.
struct Operator {
  const char* name;
  double per_layer;
  double once;
  bool needed;
};
constexpr Operator kDense[] = {{"embedding", 0, 1, true},    {"layernorm", 2, 0, true},
                               {"qkv_proj", 1, 0, true},     {"qk_norm", 1, 0, false},
                               {"rotary_emb", 1, 0, true},   {"o_proj", 1, 0, true},
                               {"gate_up_proj", 1, 0, true}, {"act_fn", 1, 0, true},
                               {"down_proj", 1, 0, true},    {"final_layernorm", 0, 1, true}};
constexpr Operator kPerSequence[] = {{"lm_head", 0, 1, true}, {"sampler", 0, 1, true}};

std::string Path(absl::string_view directory, absl::string_view name) {
  return absl::StrCat(directory, "/", name);
}

// Puts the file in front of what is wrong with its points.
absl::Status InFile(const CsvTable& table, const absl::Status& status) {
  return table.Error(status.message());
}

absl::Status ReadText(const std::string& path, std::string* text) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  }
  if (in.tellg() < 0 || static_cast<size_t>(in.tellg()) > CsvTable::kMostBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":1: is no file of at most ", CsvTable::kMostBytes, " bytes"));
  }
  in.seekg(0);
  std::ostringstream out;
  out << in.rdbuf();
  *text = out.str();
  return absl::OkStatus();
}

absl::Status ReadOptional(const std::string& path, std::optional<std::string>* text) {
  std::string found;
  absl::Status status = ReadText(path, &found);
  if (absl::IsNotFound(status)) {
    return absl::OkStatus();
  }
  *text = std::move(found);
  return status;
}

// Sums the curves of a file's operators as a pass runs them.
absl::StatusOr<Curve> ReadOperators(absl::string_view text, absl::string_view file,
                                    absl::string_view by, absl::Span<const Operator> operators,
                                    double layers) {
  ASSIGN_OR_RETURN(const CsvTable table, CsvTable::Parse(text, file, {"layer", by, "time_us"}));
  std::vector<std::string> names;
  for (const Operator& op : operators) {
    names.emplace_back(op.name);
  }
  std::vector<std::vector<std::pair<double, double>>> points(operators.size());
  for (size_t row = 0; row < table.rows(); ++row) {
    const absl::string_view name = table.Text(row, 0);
    const size_t which =
        static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    if (which == names.size()) {
      return table.Error(row, absl::StrCat("no operator '", name.substr(0, 40), "'; known are ",
                                           absl::StrJoin(names, ", "), DidYouMean(name, names)));
    }
    ASSIGN_OR_RETURN(const double count, table.Count(row, 1));
    ASSIGN_OR_RETURN(const double time, table.Time(row, 2));
    points[which].emplace_back(count, time);
  }
  Curve sum;
  for (size_t i = 0; i < operators.size(); ++i) {
    if (points[i].empty()) {
      if (operators[i].needed) {
        return table.Error(absl::StrCat("has no row of ", names[i]));
      }
      continue;
    }
    const absl::StatusOr<Curve> curve = Curve::Make(std::move(points[i]));
    if (!curve.ok()) {
      return table.Error(absl::StrCat(names[i], ": ", curve.status().message()));
    }
    sum = Curve::Sum(sum, *curve, operators[i].per_layer * layers + operators[i].once);
  }
  return sum;
}

absl::Status CheckModel(const ModelTiming& model) {
  bool dense = model.windowed_layers == 0 && model.flops_per_expanded == 0 &&
               !model.parallelism.data_parallel_attention;
  for (int g = 0; g < model.group_count; ++g) {
    dense = dense && model.groups[static_cast<size_t>(g)].experts == 0;
  }
  if (!dense) {
    return absl::InvalidArgumentError(absl::StrCat(
        "operator tables describe dense models with full attention, and ", model.name,
        " has experts, windows, latent attention or data-parallel attention: leave them out"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status OperatorTables::ReadAttention(absl::string_view text, absl::string_view file) {
  constexpr std::array<absl::string_view, 5> kColumns = {"prefill_chunk", "kv_prefill", "n_decode",
                                                         "kv_decode", "time_us"};
  ASSIGN_OR_RETURN(const CsvTable table, CsvTable::Parse(text, file, kColumns));
  std::vector<Grid::Point> prefill, decode, mixed;
  for (size_t row = 0; row < table.rows(); ++row) {
    Grid::Point point;
    for (size_t column = 0; column < Grid::kMostAxes; ++column) {
      ASSIGN_OR_RETURN(point.at[column], table.Count(row, column));
    }
    ASSIGN_OR_RETURN(point.value, table.Time(row, Grid::kMostAxes));
    const auto& [chunk, cached, sequences, context] = point.at;
    if ((chunk == 0 && cached > 0) || (sequences == 0) != (context == 0) ||
        (chunk == 0 && sequences == 0)) {
      return table.Error(row,
                         "a call has a chunk, or decodes with a context, or both; what is absent "
                         "has 0 in both of its columns");
    }
    if (sequences == 0) {
      prefill.push_back(point);
    } else if (chunk == 0) {
      decode.push_back({{sequences, context}, point.value});
    } else {
      mixed.push_back(point);
    }
  }
  const auto fill = [&](std::vector<Grid::Point> points, size_t first, size_t count, Grid* grid) {
    absl::StatusOr<Grid> made =
        Grid::Make(std::move(points), absl::MakeConstSpan(kColumns).subspan(first, count));
    if (!made.ok()) {
      return InFile(table, made.status());
    }
    *grid = *std::move(made);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(fill(std::move(prefill), 0, 2, &prefill_));
  RETURN_IF_ERROR(fill(std::move(decode), 2, 2, &decode_));
  return mixed.empty() ? absl::OkStatus() : fill(std::move(mixed), 0, 4, &mixed_);
}

absl::Status OperatorTables::ReadDense(absl::string_view text, absl::string_view file) {
  ASSIGN_OR_RETURN(tokens_, ReadOperators(text, file, "tokens", kDense, layers_));
  return absl::OkStatus();
}

absl::Status OperatorTables::ReadPerSequence(absl::string_view text, absl::string_view file) {
  ASSIGN_OR_RETURN(outputs_, ReadOperators(text, file, "sequences", kPerSequence, layers_));
  return absl::OkStatus();
}

absl::Status OperatorTables::ReadSkew(absl::string_view text, absl::string_view file) {
  ASSIGN_OR_RETURN(
      const CsvTable table,
      CsvTable::Parse(text, file, {"regime", "n", "t_mean_us", "t_max_us", "t_skew_us"}));
  // Sums over the rows of one number of decodes: single rows divide by small differences.
  struct Sums {
    double skew = 0;
    double spread = 0;
  };
  std::map<double, Sums> sums[2];
  for (size_t row = 0; row < table.rows(); ++row) {
    const bool mixed = table.Text(row, 0) == "mixed";
    if (!mixed && table.Text(row, 0) != "pure") {
      return table.Error(row, "regime must be pure or mixed");
    }
    ASSIGN_OR_RETURN(const double count, table.Count(row, 1));
    ASSIGN_OR_RETURN(const double mean, table.Time(row, 2));
    ASSIGN_OR_RETURN(const double longest, table.Time(row, 3));
    ASSIGN_OR_RETURN(const double real, table.Time(row, 4));
    Sums& sum = sums[mixed ? 1 : 0][count];
    sum.skew += real - mean;
    sum.spread += longest - mean;
  }
  for (int i = 0; i < 2; ++i) {
    std::vector<std::pair<double, double>> points;
    for (const auto& [count, sum] : sums[i]) {
      if (sum.spread > 0) {
        points.emplace_back(count, std::clamp(sum.skew / sum.spread, 0.0, 1.0));
      }
    }
    if (!points.empty()) {
      ASSIGN_OR_RETURN(skew_[i], Curve::Make(std::move(points)));
    }
  }
  return absl::OkStatus();
}

absl::Status OperatorTables::ReadAllReduce(absl::string_view text, absl::string_view file) {
  ASSIGN_OR_RETURN(const CsvTable table, CsvTable::Parse(text, file, {"bytes", "time_us"}));
  std::vector<std::pair<double, double>> points;
  for (size_t row = 0; row < table.rows(); ++row) {
    ASSIGN_OR_RETURN(const double bytes, table.Count(row, 0));
    ASSIGN_OR_RETURN(const double time, table.Time(row, 1));
    points.emplace_back(bytes, time);
  }
  absl::StatusOr<Curve> curve = Curve::Make(std::move(points));
  if (!curve.ok()) {
    return InFile(table, curve.status());
  }
  all_reduce_ = *std::move(curve);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<OperatorTables>> OperatorTables::Parse(
    const OperatorTableTexts& texts, absl::string_view directory, const Profile& profile,
    const ModelTiming& model) {
  RETURN_IF_ERROR(CheckModel(model));
  std::unique_ptr<OperatorTables> tables(new OperatorTables());
  tables->layers_ = static_cast<double>(model.layers);
  tables->skew_share_ = profile.skew_share.value;
  RETURN_IF_ERROR(tables->ReadAttention(texts.attention, Path(directory, "attention.csv")));
  RETURN_IF_ERROR(tables->ReadDense(texts.dense, Path(directory, "dense.csv")));
  RETURN_IF_ERROR(tables->ReadPerSequence(texts.per_sequence, Path(directory, "per_sequence.csv")));
  if (texts.skew) {
    RETURN_IF_ERROR(tables->ReadSkew(*texts.skew, Path(directory, "skew.csv")));
  }
  if (texts.all_reduce) {
    RETURN_IF_ERROR(tables->ReadAllReduce(*texts.all_reduce, Path(directory, "all_reduce.csv")));
  }
  return tables;
}

absl::StatusOr<std::unique_ptr<OperatorTables>> OperatorTables::Load(const std::string& directory,
                                                                     const Profile& profile,
                                                                     const ModelTiming& model) {
  OperatorTableTexts texts;
  RETURN_IF_ERROR(ReadText(Path(directory, "attention.csv"), &texts.attention));
  RETURN_IF_ERROR(ReadText(Path(directory, "dense.csv"), &texts.dense));
  RETURN_IF_ERROR(ReadText(Path(directory, "per_sequence.csv"), &texts.per_sequence));
  RETURN_IF_ERROR(ReadOptional(Path(directory, "skew.csv"), &texts.skew));
  RETURN_IF_ERROR(ReadOptional(Path(directory, "all_reduce.csv"), &texts.all_reduce));
  return Parse(texts, directory, profile, model);
}

double OperatorTables::AttentionSeconds(const StepShape& shape) const {
  const double decodes = static_cast<double>(shape.sequences[kDecode]);
  double chunk = static_cast<double>(shape.tokens[kPrefill]);
  double cached = 0;
  if (chunk > 0) {
    const double pairs = static_cast<double>(shape.attention_pairs[kPrefill]);
    cached = (pairs - chunk * (chunk + 1) / 2) / chunk;
    if (cached < 0) {
      cached = 0;
      chunk = (std::sqrt(1 + 8 * pairs) - 1) / 2;
    }
  }
  if (decodes == 0) {
    return prefill_.At({chunk, cached});
  }
  // Contexts with the token that is computed, as the tables count them.
  const double mean = static_cast<double>(shape.attention_pairs[kDecode]) /
                      static_cast<double>(shape.tokens[kDecode]);
  const double longest = std::max(mean, static_cast<double>(shape.longest_decode + 1));
  const auto at = [&](double context) {
    if (chunk == 0) {
      return decode_.At({decodes, context});
    }
    return mixed_.empty() ? prefill_.At({chunk, cached}) + decode_.At({decodes, context})
                          : mixed_.At({chunk, cached, decodes, context});
  };
  const Curve& skew = skew_[chunk > 0 ? 1 : 0];
  const double share = skew.empty() ? skew_share_ : skew.At(decodes);
  const double even = at(mean);
  return share == 0 || longest == mean ? even : even + share * std::max(0.0, at(longest) - even);
}

double OperatorTables::PassSeconds(const StepShape& shape) const {
  const double rows = static_cast<double>(shape.output_rows);
  return tokens_.At(static_cast<double>(shape.total_tokens())) + layers_ * AttentionSeconds(shape) +
         (rows > 0 ? outputs_.At(rows) : 0.0);
}

}  // namespace scoville::device
