// Activations as the integer kernels read them: integers with one scale per 32 values, eight rows
// side by side.
//
// Two precisions. kByte: 8 bits. kPair: about 15 bits as two bytes, 254 * high + low, for the
// inputs whose rounding costs most: the error of q, k, v's input is more than a third of the whole
// model's for a tenth of its work, and the head's a fifth.
//
// Rows are kept in tiles of eight; a tile is one ActivationBlock (kPair: two, high before low) per
// 32 values of the input, so that a kernel walks one stream with constant offsets however many of
// the eight rows are there. What unused rows hold does not matter.
//
// Ownership: owns its memory. Threading: rows may be written by different lanes at once.
#ifndef SCOVILLE_MODEL_COMPUTE_QUANTIZED_ROWS_H_
#define SCOVILLE_MODEL_COMPUTE_QUANTIZED_ROWS_H_

#include <cstdint>
#include <cstring>
#include <vector>

namespace scoville::model {

inline constexpr int kBlockValues = 32;
inline constexpr int kTileRows = 8;

enum class Precision : uint8_t { kByte, kPair };
inline constexpr int kPairBase = 254;

struct alignas(64) ActivationBlock {
  // quads[g][r]: values 4g .. 4g+3 of row r, lowest byte first.
  int32_t quads[kBlockValues / 4][kTileRows];
  float scale[kTileRows];
  float sum[kTileRows];  // of the integers (kPair: of 254 * high + low); exact
  // -128 times the sum of this block's bytes: where 8-bit weights are stored with 128 added, the
  // dot product starts here.
  int32_t offset[kTileRows];
  int32_t unused[kTileRows];
};

class QuantizedRows {
 public:
  QuantizedRows(int64_t max_rows, int64_t values, Precision precision)
      : precision_(precision),
        blocks_(values / kBlockValues * (precision == Precision::kPair ? 2 : 1)),
        data_(static_cast<size_t>((max_rows + kTileRows - 1) / kTileRows * blocks_)) {}

  Precision precision() const { return precision_; }
  // The tile that holds rows 8t .. 8t+7.
  const ActivationBlock* Tile(int64_t tile) const { return data_.data() + tile * blocks_; }
  ActivationBlock* TileOfRow(int64_t row) { return data_.data() + row / kTileRows * blocks_; }

 private:
  Precision precision_;
  int64_t blocks_;  // of a tile
  std::vector<ActivationBlock> data_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_QUANTIZED_ROWS_H_
