"""Time of one operator call on an accelerator: GEMM, attention, all-reduce, elementwise kernels.

Closed forms with a handful of constants per chip; fit_operators.py finds the constants and
README.md lists them. `p` holds constants, `chip` the data sheet, `d` arrays of inputs, one entry a
call. Seconds, bytes, FLOPs throughout; head dimension 128. Names of constants:

    eta_f, eta_b, eta_link   shares of the data sheet's matrix rate, HBM bandwidth and link rate
    t_call                   an empty call: launch, prologue, epilogue (t_call_fp8: with FP8 KV)
    t_wave, t_item, t_tile   fixed time of a wave of tiles, of a work item, of one KV tile
    t_split                  gathering the parts of a split reduction
"""
import numpy as np

# Data sheets: matrix peak FLOP/s, HBM bytes/s, compute units, one direction of the scale-up link.
CHIPS = {
    "h100": dict(bf16=989e12, fp8=1979e12, hbm=3.35e12, units=132, link=450e9),
    "b200": dict(bf16=2250e12, fp8=4500e12, hbm=8.0e12, units=148, link=900e9),
    "a100": dict(bf16=312e12, hbm=2.04e12, units=108, link=300e9),
    # Dense BF16 is an eighth of the published 4 PFLOP/s of sparse FP4.
    "rtx-pro-6000": dict(bf16=500e12, hbm=1.597e12, units=188, link=64e9),
}
HEAD_DIM = 128.0


def overlap(x, y, q):
    """R(x, y) = (x^q + y^q)^(1/q) for q in {1, 2, 4, inf}."""
    if q == 1:
        return x + y
    if q == 2:
        return np.sqrt(x * x + y * y)
    if q == 4:
        return np.sqrt(np.sqrt(x**4 + y**4))
    return np.maximum(x, y)


GEMM_TILES = ((64, 64), (64, 128), (128, 128))
GEMM_SPLITS = (1, 2, 4, 8)
FP8_TILES = ((64, 64), (128, 64), (256, 64))
FEWEST_K_PER_SPLIT = 256


def gemm_seconds(p, chip, d, math="bf16"):
    """y[m,n] = x[m,k] w[k,n]: the best tile and split in waves over the units, against HBM.

    FP8 as vLLM calls it quantises the rows of x first (t_row, t_element) and picks the tile by m
    alone; rows that are no multiple of 16 beyond one tile run at `misaligned` of the rate.
    """
    m, n, k = d["m"], d["n"], d["k"]
    width = 1.0 if math == "fp8" else 2.0
    rate = p["eta_f"] * chip[math] / chip["units"]
    best = np.full(m.shape, np.inf)
    if math == "fp8":
        rate = rate * np.where((m > 256) & (m % 16 != 0), p["misaligned"], 1.0)
        for rows, columns in FP8_TILES:
            fits = (m > rows / 2) | (rows == FP8_TILES[0][0])
            fits &= (m <= rows) | (rows == FP8_TILES[-1][0])
            waves = np.ceil(np.ceil(m / rows) * np.ceil(n / columns) / chip["units"])
            busy = waves * (2 * rows * columns * k / rate + p["t_wave"])
            best = np.where(fits, busy, best)
    else:
        for rows, columns in GEMM_TILES:
            tiles = np.ceil(m / rows) * np.ceil(n / columns)
            for split in GEMM_SPLITS:
                waves = np.ceil(tiles * split / chip["units"])
                busy = waves * (2 * rows * columns * k / split / rate + p["t_wave"])
                if split > 1:
                    busy = busy + p["t_split"] + 8.0 * m * n * split / chip["hbm"]
                    busy = np.where(k / split >= FEWEST_K_PER_SPLIT, busy, np.inf)
                best = np.minimum(best, busy)
    traffic = (width * k * (n + m) + 2 * m * n) / (p["eta_b"] * chip["hbm"])
    quantise = m * np.maximum(p["t_row"], k * p["t_element"]) if math == "fp8" else 0.0
    return p["t_call"] + quantise + overlap(best, traffic, 2 if math == "fp8" else 4)


KV_TILE = 128.0
MOST_SPLITS = 16


def decode_seconds(p, chip, d):
    """One query token a sequence: (sequence, KV head) pairs in waves against the KV traffic."""
    kv_width = np.where(d["fp8"], 1.0, 2.0)
    pairs = d["batch"] * d["kv_heads"]
    tiles = np.ceil(d["context"] / KV_TILE)
    rows = 2 * HEAD_DIM * kv_width * pairs * tiles * KV_TILE
    traffic = rows + 4 * HEAD_DIM * d["batch"] * d["heads"]
    split = np.minimum(np.maximum(1.0, np.floor(chip["units"] / pairs)),
                       np.minimum(tiles, MOST_SPLITS))
    waves = np.ceil(pairs * split / chip["units"])
    busy = waves * (p["t_item"] + p["t_tile"] * np.ceil(tiles / split))
    call = np.where(d["fp8"], p.get("t_call_fp8", p["t_call"]), p["t_call"])
    call = call + np.where(split > 1, p["t_split"], 0.0)
    return call + overlap(busy, traffic / (p["eta_b"] * chip["hbm"]), 2)


def prefill_seconds(p, chip, d, shape):
    """Causal attention of `chunk` new tokens after `cached` ones, q rows in tiles over the units.

    shape: q_tile rows a tile; up to `pack` new tokens the query heads of one KV head share a tile.
    """
    batch, chunk, cached = d["batch"], d["chunk"], d["cached"]
    group = d["heads"] / d["kv_heads"]
    packed = chunk <= shape["pack"]
    q_tile = shape["q_tile"]
    tiles = np.where(packed, d["kv_heads"] * np.ceil(chunk * group / q_tile),
                     d["heads"] * np.ceil(chunk / q_tile))
    items = batch * tiles
    span = np.where(packed, q_tile / group, q_tile)
    longest = np.ceil((cached + chunk) / KV_TILE) * KV_TILE
    mean = cached + (longest - cached + np.minimum(longest - cached, span)) / 2
    rate = np.where(d["fp8"], p.get("eta_f_fp8", p["eta_f"]), p["eta_f"]) * chip["bf16"] / chip[
        "units"]
    work = np.maximum(items / chip["units"] * mean, longest) * 4 * HEAD_DIM * q_tile / rate
    work = work + p["t_item"] * np.ceil(items / chip["units"])
    new_rows = batch * chunk * HEAD_DIM
    kv_width = np.where(d["fp8"], 1.0, 2.0)
    traffic = new_rows * (4 * d["heads"] + 4 * kv_width * d["kv_heads"])
    traffic = traffic + 2 * kv_width * HEAD_DIM * batch * cached * d["kv_heads"]
    convert = np.where(d["fp8"], p.get("convert", 0.0), 0.0)
    traffic = traffic + convert * 4 * new_rows * d["kv_heads"]
    call = np.where(d["fp8"], p.get("t_call_fp8", p["t_call"]), p["t_call"])
    return call + work + traffic / (p["eta_b"] * chip["hbm"])


def mixed_seconds(p, chip, d, q_tile=64.0):
    """One launch for chunks and decodes together, as FA2 runs a step that holds any prefill.

    A decode is then an item like any other: a whole q tile for each query head, its context not
    split over the units. Chunk and decodes share the units, so the work adds up.
    """
    heads, kv_heads, n = d["heads"], d["kv_heads"], d["decodes"]
    rate = p["eta_f"] * chip["bf16"] / chip["units"]
    chunk_rows = np.ceil((d["cached"] + d["chunk"]) / KV_TILE) * KV_TILE
    new = chunk_rows - d["cached"]
    mean = d["cached"] + (new + np.minimum(new, q_tile)) / 2
    decode_rows = np.ceil(d["context"] / KV_TILE) * KV_TILE * (n > 0)
    chunk_items, decode_items = heads * np.ceil(d["chunk"] / q_tile), heads * n
    rows = np.maximum((chunk_items * mean + decode_items * decode_rows) / chip["units"],
                      np.maximum(chunk_rows, decode_rows))
    busy = rows * 4 * HEAD_DIM * q_tile / rate
    busy = busy + p["t_item"] * np.ceil((chunk_items + decode_items) / chip["units"])
    traffic = 4 * HEAD_DIM * (kv_heads * (n * decode_rows + chunk_rows) + heads * (d["chunk"] + n))
    return p["t_call"] + overlap(busy, traffic / (p["eta_b"] * chip["hbm"]), 2)


# FA3 packs the query heads of a group, the Blackwell kernels of FlashInfer only for single tokens.
PREFILL_SHAPE = {
    "h100": dict(q_tile=128.0, pack=np.inf),
    "b200": dict(q_tile=256.0, pack=1.0),
}


def all_reduce_seconds(p, chip, d):
    """One shot (every rank reads all) or two (reduce-scatter, all-gather), whichever is faster."""
    ranks, size = d["ranks"], d["bytes"]
    link = p["eta_link"] * chip["link"]
    one = p["t_call"] + p["t_rank"] * ranks + (ranks - 1) * size / link
    two = p["t_call"] + p["t_rank"] * ranks + p["t_second"] + 2 * (ranks - 1) / ranks * size / link
    return np.minimum(one, two)


def elementwise_seconds(p, chip, d):
    """Norms, activation, rotary embedding: what fits into L2 at its speed, the rest through HBM.

    x_*: how many times the least traffic a kind of kernel moves, or is slower than that.
    """
    size = d["bytes"]
    for kind in ("norm", "rotary", "act"):
        if kind in d:
            size = size * np.where(d[kind], p["x_" + kind], 1.0)
    speed = p["eta_b"] * chip["hbm"]
    near = np.minimum(size, p["l2_bytes"])
    return p["t_call"] + near / (p["l2_gain"] * speed) + (size - near) / speed
