#include "model/gguf/ggml_type.h"

namespace scoville::model {

namespace {

struct TypeRow {
  uint32_t number;
  const char* name;
  int64_t block_size;  // 0: known by name, but not read
  int64_t block_bytes;
};

constexpr TypeRow kTypes[] = {
    {0, "F32", 1, 4},       {1, "F16", 1, 2},     {2, "Q4_0", 32, 18},    {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},    {7, "Q5_1", 32, 24},  {8, "Q8_0", 32, 34},    {9, "Q8_1", 0, 0},
    {10, "Q2_K", 0, 0},     {11, "Q3_K", 0, 0},   {12, "Q4_K", 256, 144}, {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210}, {15, "Q8_K", 0, 0},   {16, "IQ2_XXS", 0, 0},  {17, "IQ2_XS", 0, 0},
    {18, "IQ3_XXS", 0, 0},  {19, "IQ1_S", 0, 0},  {20, "IQ4_NL", 0, 0},   {21, "IQ3_S", 0, 0},
    {22, "IQ2_S", 0, 0},    {23, "IQ4_XS", 0, 0}, {24, "I8", 0, 0},       {25, "I16", 0, 0},
    {26, "I32", 0, 0},      {27, "I64", 0, 0},    {28, "F64", 0, 0},      {29, "IQ1_M", 0, 0},
    {30, "BF16", 1, 2},     {34, "TQ1_0", 0, 0},  {35, "TQ2_0", 0, 0},    {39, "MXFP4", 0, 0},
};

const TypeRow* Find(uint32_t number) {
  for (const TypeRow& row : kTypes) {
    if (row.number == number) return &row;
  }
  return nullptr;
}

}  // namespace

bool IsKnownGgmlType(uint32_t number) {
  const TypeRow* row = Find(number);
  return row != nullptr && row->block_size > 0;
}

absl::string_view GgmlTypeName(uint32_t number) {
  const TypeRow* row = Find(number);
  return row == nullptr ? "" : row->name;
}

int64_t GgmlBlockSize(GgmlType type) {
  const TypeRow* row = Find(static_cast<uint32_t>(type));
  return row == nullptr ? 0 : row->block_size;
}

int64_t GgmlBlockBytes(GgmlType type) {
  const TypeRow* row = Find(static_cast<uint32_t>(type));
  return row == nullptr ? 0 : row->block_bytes;
}

absl::string_view KnownGgmlTypeNames() {
  return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K";
}

}  // namespace scoville::model
