// Runs a fuzz target's seeds, seeded mutations of them, and files.
//
//   replay [--mutations N] [--seed S] [--write-corpus DIR] [FILE...]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/fuzz/fuzz_target.h"

namespace scoville::tests {
namespace {

using Bytes = std::vector<uint8_t>;

// Values that readers get wrong: bounds of types and their neighbours.
constexpr uint64_t kInteresting[] = {
    0,          1,          7,          31,         32,
    127,        128,        255,        256,        65'535,
    1u << 31,   UINT32_MAX, INT64_MAX,  UINT64_MAX, UINT64_MAX - 31,
    1ull << 62, 1ull << 63, 0x7fff'ffff};

// One change, decided by (seed, run, step).
void Mutate(Bytes& bytes, uint64_t seed, uint64_t stream, uint64_t step) {
  const auto draw = [&](uint64_t which, uint64_t n) {
    return RandomBelow(seed, stream, 16 * step + which, n);
  };
  if (bytes.empty()) bytes.push_back(0);
  // Half of the changes near the beginning, where formats keep their counts.
  const uint64_t reach = draw(0, 2) == 0 ? std::min<uint64_t>(bytes.size(), 512) : bytes.size();
  const auto at = static_cast<std::ptrdiff_t>(draw(1, reach));
  const auto left = static_cast<uint64_t>(static_cast<std::ptrdiff_t>(bytes.size()) - at);
  const auto length = static_cast<std::ptrdiff_t>(1 + draw(2, std::min<uint64_t>(left, 64)));
  switch (draw(3, 6)) {
    case 0:
      bytes[static_cast<size_t>(at)] ^= static_cast<uint8_t>(1u << draw(4, 8));
      break;
    case 1:
      bytes[static_cast<size_t>(at)] = static_cast<uint8_t>(draw(4, 256));
      break;
    case 2: {
      const uint64_t value = kInteresting[draw(4, std::size(kInteresting))];
      const uint64_t width = uint64_t{1} << draw(5, 4);
      for (uint64_t i = 0; i < std::min(width, left); ++i) {
        bytes[static_cast<size_t>(at) + i] = static_cast<uint8_t>(value >> (8 * i));
      }
      break;
    }
    case 3:
      bytes.erase(bytes.begin() + at, bytes.begin() + at + length);
      break;
    case 4: {
      const Bytes copy(bytes.begin() + at, bytes.begin() + at + length);
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(draw(4, bytes.size())), copy.begin(),
                   copy.end());
      break;
    }
    default:
      bytes.resize(draw(4, 4) == 0 ? static_cast<size_t>(at) : bytes.size());
      break;
  }
}

void WriteCorpus(const std::string& dir) {
  std::filesystem::create_directories(dir);
  int number = 0;
  for (const Bytes& seed : SeedInputs()) {
    std::ofstream out(dir + "/seed-" + std::to_string(number++), std::ios::binary);
    out.write(reinterpret_cast<const char*>(seed.data()),
              static_cast<std::streamsize>(seed.size()));
  }
}

int Main(const std::vector<std::string>& arguments) {
  uint64_t mutations = 0;
  uint64_t seed = 1;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool has_value = i + 1 < arguments.size();
    if (arguments[i] == "--mutations" && has_value) {
      mutations = std::strtoull(arguments[++i].c_str(), nullptr, 10);
    } else if (arguments[i] == "--seed" && has_value) {
      seed = std::strtoull(arguments[++i].c_str(), nullptr, 10);
    } else if (arguments[i] == "--write-corpus" && has_value) {
      WriteCorpus(arguments[++i]);
    } else {
      std::ifstream in(arguments[i], std::ios::binary);
      if (!in) {
        std::fprintf(stderr, "cannot read %s\n", arguments[i].c_str());
        return 2;
      }
      const Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      RunInput(bytes);
    }
  }
  const std::vector<Bytes> seeds = SeedInputs();
  for (const Bytes& input : seeds) RunInput(input);
  for (uint64_t run = 0; run < mutations; ++run) {
    Bytes input = seeds[run % seeds.size()];
    const uint64_t steps = 1 + RandomBelow(seed, 0, run, 6);
    for (uint64_t step = 0; step < steps; ++step) Mutate(input, seed, run + 1, step);
    RunInput(input);
  }
  std::printf("%zu seeds and %llu mutations ran\n", seeds.size(),
              static_cast<unsigned long long>(mutations));
  return 0;
}

}  // namespace
}  // namespace scoville::tests

int main(int argc, char** argv) {
  return scoville::tests::Main(std::vector<std::string>(argv + 1, argv + argc));
}
