#!/usr/bin/env python3
"""Writes tests/data/dequantize_goldens.bin: stored rows and their values by `gguf.quants.dequantize`.

For each type: u32 type, u32 bytes, u32 values, the bytes, the values as float32; all little-endian. The blocks are
random bits with finite scales, among them zero, subnormal and the largest ones. Needs: pip install gguf numpy.

Usage: make_dequantize_goldens.py tests/data/dequantize_goldens.bin
"""

import struct
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

# Where the half-precision scales of a block stand.
TYPES = {T.F32: None, T.F16: None, T.BF16: None, T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0],
         T.Q5_1: [0, 2], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
HALVES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff, 0x3c00, 0xbc00]


def finite_half(rng):
    half = int(rng.integers(0, 1 << 16)) if rng.random() < 0.7 else HALVES[int(rng.integers(0, len(HALVES)))]
    return half if (half & 0x7c00) != 0x7c00 else half & 0x83ff


def rows(rng, kind):
    size, stored = gguf.GGML_QUANT_SIZES[kind]
    if kind == T.F32:
        bits = rng.integers(0, 1 << 32, 64, dtype=np.uint64).astype(np.uint32)
        return np.where((bits & 0x7f800000) == 0x7f800000, bits & 0x807fffff, bits).astype(np.uint32).view(np.uint8)
    if kind == T.F16:
        return np.array([finite_half(rng) for _ in range(256)], dtype=np.uint16).view(np.uint8)
    if kind == T.BF16:
        bits = rng.integers(0, 1 << 16, 64).astype(np.uint16)
        return np.where((bits & 0x7f80) == 0x7f80, bits & 0x807f, bits).astype(np.uint16).view(np.uint8)
    blocks = rng.integers(0, 256, (24 if size == 32 else 6, stored), dtype=np.int64).astype(np.uint8)
    for block in blocks:
        for at in TYPES[kind]:
            block[at:at + 2] = np.array([finite_half(rng)], dtype=np.uint16).view(np.uint8)
    return blocks.reshape(-1)


def main():
    rng = np.random.default_rng(11)
    with open(sys.argv[1], "wb") as out:
        for kind in TYPES:
            data = rows(rng, kind)
            with np.errstate(over="ignore"):
                values = gguf.quants.dequantize(data, kind).astype(np.float32).reshape(-1)
            out.write(struct.pack("<III", int(kind), data.size, values.size))
            out.write(data.tobytes())
            out.write(values.tobytes())
            print(kind.name, data.size, values.size, int(np.isfinite(values).all()))


if __name__ == "__main__":
    main()
