// A Llama-architecture model small enough to run in microseconds, made out of a seed.
//
// 2 layers, width 128, 4 heads over 2 KV heads of 32, FFN 256, context 512, 304 tokens (3 control
// tokens, every byte, 45 merges), byte-level BPE with the `smollm` pre-tokenizer, a ChatML template
// with a default system message; Q4_1 weights, a Q8_0 embedding that is also the head. The same
// storage types as the default model, so the same kernels run. Its text is noise, but varied noise.
//
// Threading: pure functions apart from the file. Errors: CHECK failures, this is for tests.
#ifndef SCOVILLE_TESTS_SUPPORT_TINY_MODEL_H_
#define SCOVILLE_TESTS_SUPPORT_TINY_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/gguf_writer.h"

namespace scoville::tests {

inline constexpr int64_t kTinyVocabulary = 304;

// The file's bytes; equal for equal seeds, on every machine.
std::vector<uint8_t> TinyModelBytes(uint64_t seed);

// Writes them to `<dir>/tiny-<seed>.gguf` and returns the path.
std::string WriteTinyModel(const std::string& dir, uint64_t seed);

// Its tokenizer keys alone, for files that need no tensors. `pre` names the pre-tokenizer.
void AddTinyTokenizer(GgufWriter& writer, const std::string& pre = "smollm");

// A tokenizer of control tokens (ids from 0) and the 256 bytes, without merges and template.
void AddByteTokenizer(GgufWriter& writer, const std::vector<std::string>& control, uint32_t bos,
                      uint32_t eos);

// A fresh directory below the system's directory for temporary files.
std::string MakeTempDir();

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_TINY_MODEL_H_
