#!/usr/bin/env python3
"""Calibrates the operator cost model on measured tables and says how well it predicts the rest.

    fit_operators.py --data DIR [--only SECTION] [--json FILE]

DIR (default: the variable SCOVILLE_PROFILES_DATA) holds the public tables, converted to CSV, as
README.md names them:

    aiconfigurator/       GEMM, attention and collective tables of H100 and B200, B200 with power
    vidur/                MLP layers and all-reduce of A100
    llmservingsim/        dense layers, attention and sampling of RTX PRO 6000

Each table is divided into a half that sets the constants and a half that is only predicted. The
rule of division is printed with it: whole (n, k) shapes, whole head configurations, and as further
views alternate rows, alternate batch sizes, and small shapes against large. Errors are relative to
the measurement: median and 90th percentile of |error| and the median of the signed error. The
range beside a constant is what the other divisions give.

Times are in seconds inside, in microseconds where printed as constants. Needs numpy only.
"""
import argparse
import json
import os
import sys

import numpy as np

from operator_calibration import (Report, alternate_rows, calibrate, fit, half_of_groups,
                                  read_table, select)
from operator_model import (CHIPS, HEAD_DIM, PREFILL_SHAPE, all_reduce_seconds, decode_seconds,
                            elementwise_seconds, gemm_seconds, mixed_seconds, prefill_seconds)


# --- H100 and B200 ----------------------------------------------------------------------------
AIC = {"h100": "h100_sxm_vllm0.24.0_", "b200": "b200_sxm_vllm0.22.0_"}
GEMM_START = dict(eta_f=0.8, eta_b=0.9, t_call=2.5e-6, t_wave=0.3e-6, t_split=2.5e-6)
FP8_START = dict(eta_f=0.7, eta_b=0.85, t_call=4.5e-6, t_wave=0.4e-6, t_row=7e-9,
                 t_element=2.2e-12, misaligned=0.8)
DECODE_START = dict(eta_b=0.9, t_call=6e-6, t_call_fp8=6e-6, t_split=1e-6, t_item=1e-6,
                    t_tile=0.3e-6)
PREFILL_START = dict(eta_f=0.7, eta_f_fp8=0.7, eta_b=0.8, t_call=8e-6, t_call_fp8=8e-6,
                     t_item=2e-6, convert=1.0)
THROTTLED = 0.97  # of the power limit: clocks are lowered already


def aic_table(data, chip, name):
    table = read_table(os.path.join(data, "aiconfigurator", AIC[chip] + name + ".csv"))
    usable = np.ones(len(table["latency_ms"]), bool)
    if "power_w" in table:
        usable = table["power_w"] < THROTTLED * table["power_limit_w"]
    return table, table["latency_ms"] * 1e-3, usable


def attention_inputs(table):
    return dict(batch=table["batch_size"], heads=table["num_heads"],
                kv_heads=table["num_kv_heads"], context=table["isl"] + table["step"],
                chunk=table["isl"], cached=np.zeros(len(table["isl"])),
                fp8=table["kv_dtype"] == "fp8")


def scaled(constants, factor):
    return {n: v * factor if n.startswith("t_") else v for n, v in constants.items()}


def cross_chip(report, kind, predict, fitted, tables):
    """One chip with the other's constants: as they are, and with latencies per byte of a unit."""
    print(f"\n{kind}: data sheet of one chip, constants of the other (all rows)")
    for target, source in (("b200", "h100"), ("h100", "b200")):
        inputs, seconds, _ = tables[target]
        chip, donor = CHIPS[target], CHIPS[source]
        factor = donor["hbm"] / donor["units"] / (chip["hbm"] / chip["units"])
        label = f"{target} by {source}"
        report.error(kind, f"{label}, as they are",
                     predict(fitted[source], target, inputs), seconds)
        if "GEMM" in kind:
            continue
        report.error(kind, f"{label}, latencies scaled",
                     predict(scaled(fitted[source], factor), target, inputs), seconds)
        own = {n: v for n, v in fitted[target].items() if n.startswith("t_call")}
        report.error(kind, f"{label}, scaled, own empty call",
                     predict({**scaled(fitted[source], factor), **own}, target, inputs), seconds)


def fit_aiconfigurator(report, data):
    kinds = {
        "GEMM bf16": ("gemm_bfloat16", GEMM_START,
                      lambda p, name, d: gemm_seconds(p, CHIPS[name], d)),
        "decode attention": ("generation_attention", DECODE_START,
                             lambda p, name, d: decode_seconds(p, CHIPS[name], d)),
        "prefill attention": ("context_attention", PREFILL_START,
                              lambda p, name, d: prefill_seconds(p, CHIPS[name], d,
                                                                 PREFILL_SHAPE[name])),
    }
    for kind, (file, start, predict) in kinds.items():
        tables, fitted = {}, {}
        for name in ("h100", "b200"):
            table, seconds, usable = aic_table(data, name, file)
            if "GEMM" in kind:
                inputs = {key: table[key] for key in "mnk"}
                divisions = {"whole (n,k) shapes": half_of_groups(table["n"], table["k"]),
                             "n and k up to 4096": np.maximum(table["n"], table["k"]) <= 4096}
            else:
                inputs = attention_inputs(table)
                divisions = {"whole head configurations": half_of_groups(inputs["heads"],
                                                                         inputs["kv_heads"]),
                             "alternate batch sizes": np.log2(inputs["batch"]).astype(int) % 2 == 0}
            divisions["alternate rows"] = alternate_rows(len(seconds))
            tables[name] = (inputs, seconds, usable)
            fitted[name] = calibrate(report, f"{name} {kind}",
                                     lambda p, d, name=name: predict(p, name, d), start, inputs,
                                     seconds, divisions, usable)
        cross_chip(report, kind, predict, fitted, tables)
    table, seconds, _ = aic_table(data, "h100", "gemm_fp8")
    calibrate(report, "h100 GEMM fp8", lambda p, d: gemm_seconds(p, CHIPS["h100"], d, "fp8"),
              FP8_START, {key: table[key] for key in "mnk"}, seconds,
              {"whole (n,k) shapes": half_of_groups(table["n"], table["k"]),
               "alternate rows": alternate_rows(len(seconds))})


# --- Collectives ------------------------------------------------------------------------------
REDUCE_START = dict(eta_link=0.7, t_call=4e-6, t_rank=0.2e-6, t_second=4e-6)


def fit_collectives(report, data):
    table = read_table(os.path.join(data, "aiconfigurator", AIC["h100"] + "custom_allreduce.csv"))
    for backend in ("vllm_graph", "vllm_eager"):
        rows = select(table, table["backend"] == backend)
        fit_reduce(report, f"h100 all-reduce, {backend}", "h100", rows["num_gpus"],
                   2 * rows["message_size"], rows["latency_ms"] * 1e-3)
    table = read_table(os.path.join(data, "aiconfigurator", "h100_sxm_nccl2.29.2.csv"))
    rows = select(table, table["op"] == "all_reduce")
    width = np.where(rows["dtype"] == "half", 2, 1)  # message_size counts elements
    fit_reduce(report, "h100 all-reduce, NCCL", "h100", rows["num_gpus"],
               width * rows["message_size"], rows["latency_ms"] * 1e-3)
    table = read_table(os.path.join(data, "vidur", "a100_dgx_all_reduce_median.csv"))
    rows = select(table, table["num_workers"] == table["devices_per_node"])
    fit_reduce(report, "a100 all-reduce, one node", "a100", rows["num_workers"],
               rows["size_bytes"], rows["median_ms"] * 1e-3)


def fit_reduce(report, table, name, ranks, size, seconds):
    sizes = np.unique(size, return_inverse=True)[1]
    calibrate(report, table, lambda p, d: all_reduce_seconds(p, CHIPS[name], d), REDUCE_START,
              dict(ranks=ranks, bytes=size), seconds,
              {"alternate message sizes": sizes % 2 == 0})


# --- A100 and RTX PRO 6000 --------------------------------------------------------------------
# name: width, heads, KV heads, FFN width, vocabulary
MODELS = {
    "Llama-2-7b-hf": (4096, 32, 32, 11008, 32000),
    "Llama-2-70b-hf": (8192, 64, 8, 28672, 32000),
    "Meta-Llama-3-8B": (4096, 32, 8, 14336, 128256),
    "Meta-Llama-3-70B": (8192, 64, 8, 28672, 128256),
    "Llama-3.1-8B": (4096, 32, 8, 14336, 128256),
    "Qwen3-32B": (5120, 64, 8, 25600, 151936),
}
CACHE_START = dict(eta_b=0.8, t_call=2e-6, l2_gain=2.0, l2_bytes=60e6)
ELEMENTWISE_START = dict(CACHE_START, x_norm=1.0, x_rotary=1.0, x_act=1.0)


def gemm_shape(model, layer, tp):
    width, heads, kv_heads, ffn, vocabulary = MODELS[model]
    return {
        "qkv": ((heads + 2 * kv_heads) * HEAD_DIM / tp, width),
        "o": (width, heads * HEAD_DIM / tp),
        "up": (2 * ffn / tp, width),
        "down": (width, ffn / tp),
        "head": (vocabulary / tp, width),
    }[layer]


def elementwise_bytes(model, layer, tp):
    """BF16 bytes read and written per token, at the least."""
    width, heads, kv_heads, ffn, _ = MODELS[model]
    return {
        "norm": 4 * width,
        "rotary": 4 * (heads + kv_heads) * HEAD_DIM / tp,
        "act": 6 * ffn / tp,
        "add": 6 * width,
    }[layer]


def layer_rows(entries):
    """[(model, layer, tp, tokens, seconds)] to the inputs of both models."""
    gemms, others = [], []
    for model, layer, tp, tokens, seconds in entries:
        if layer in ("qkv", "o", "up", "down", "head"):
            n, k = gemm_shape(model, layer, tp)
            gemms += [(m, n, k, t) for m, t in zip(tokens, seconds)]
        else:
            size = elementwise_bytes(model, layer, tp)
            others += [(m * size, t, layer) for m, t in zip(tokens, seconds)]
    gemms = np.array(gemms)
    size, times, layers = (np.array(column) for column in zip(*others))
    kinds = {kind: layers == kind for kind in ("norm", "rotary", "act")}
    return ((dict(m=gemms[:, 0], n=gemms[:, 1], k=gemms[:, 2]), gemms[:, 3]),
            (dict(kinds, bytes=size), times))


VIDUR_LAYERS = {"attn_pre_proj_ms": "qkv", "attn_post_proj_ms": "o", "mlp_up_proj_ms": "up",
                "mlp_down_proj_ms": "down", "input_layernorm_ms": "norm",
                "post_attention_layernorm_ms": "norm", "mlp_act_ms": "act",
                "attn_rope_ms": "rotary", "add_ms": "add"}
SIM_LAYERS = {"qkv_proj": "qkv", "o_proj": "o", "gate_up_proj": "up", "down_proj": "down",
              "layernorm": "norm", "final_layernorm": "norm",
              "act_fn": "act", "rotary_emb": "rotary"}


def vidur_entries(data, models):
    for model in models:
        table = read_table(os.path.join(data, "vidur", f"a100_{model}_mlp_median.csv"))
        for tp in np.unique(table["tp"]):
            rows = select(table, table["tp"] == tp)
            for column, layer in VIDUR_LAYERS.items():
                yield model, layer, tp, rows["num_tokens"], rows[column] * 1e-3


def sim_path(data, model, name):
    return os.path.join(data, "llmservingsim", "RTXPRO6000", model, name + ".csv")


def sim_entries(data, runs):
    for model, tp in runs:
        table = read_table(sim_path(data, model, f"tp{tp}_dense"))
        for name, layer in SIM_LAYERS.items():
            rows = select(table, table["layer"] == name)
            yield model, layer, tp, rows["tokens"], rows["time_us"] * 1e-6
        table = read_table(sim_path(data, model, f"tp{tp}_per_sequence"))
        rows = select(table, table["layer"] == "lm_head")
        yield model, "head", tp, rows["sequences"], rows["time_us"] * 1e-6


def fit_then_predict(report, table, predict, start, fit_rows, predict_sets):
    """Constants from one set of rows, errors on others that had no part in it."""
    print(f"\n{table}")
    inputs, seconds = fit_rows
    constants = fit(predict, start, inputs, seconds)
    halves = [fit(predict, start, select(inputs, side), seconds[side])
              for side in (alternate_rows(len(seconds)), ~alternate_rows(len(seconds)))]
    report.error(table, "fit", predict(constants, inputs), seconds)
    for what, (other, measured) in predict_sets.items():
        report.error(table, "predicted, " + what, predict(constants, other), measured)
    report.keep(table, constants, halves)
    return constants


def fit_a100(report, data):
    fitted = layer_rows(vidur_entries(data, ("Llama-2-7b-hf", "Llama-2-70b-hf")))
    others = {model: layer_rows(vidur_entries(data, (model,)))
              for model in ("Meta-Llama-3-8B", "Meta-Llama-3-70B")}
    chip = CHIPS["a100"]
    fit_then_predict(report, "a100 GEMM bf16", lambda p, d: gemm_seconds(p, chip, d), GEMM_START,
                     fitted[0], {m: rows[0] for m, rows in others.items()})
    fit_then_predict(report, "a100 elementwise", lambda p, d: elementwise_seconds(p, chip, d),
                     ELEMENTWISE_START, fitted[1], {m: rows[1] for m, rows in others.items()})


def fit_rtx(report, data):
    chip = CHIPS["rtx-pro-6000"]
    fitted = layer_rows(sim_entries(data, (("Llama-3.1-8B", 1),)))
    others = {f"{model} TP2": layer_rows(sim_entries(data, ((model, 2),)))
              for model in ("Llama-3.1-8B", "Qwen3-32B")}
    fit_then_predict(report, "rtx-pro-6000 GEMM bf16", lambda p, d: gemm_seconds(p, chip, d),
                     GEMM_START, fitted[0], {m: rows[0] for m, rows in others.items()})
    fit_then_predict(report, "rtx-pro-6000 elementwise",
                     lambda p, d: elementwise_seconds(p, chip, d), ELEMENTWISE_START, fitted[1],
                     {m: rows[1] for m, rows in others.items()})
    fit_rtx_attention(report, data, chip)
    fit_rtx_sampler(report, data)


def rtx_attention(data, model, tp):
    table = read_table(sim_path(data, model, f"tp{tp}_attention"))
    _, heads, kv_heads, _, _ = MODELS[model]
    size = len(table["time_us"])
    return dict(heads=np.full(size, heads / tp), kv_heads=np.full(size, kv_heads / tp),
                fp8=np.zeros(size, bool), batch=table["n_decode"], decodes=table["n_decode"],
                context=table["kv_decode"], chunk=table["prefill_chunk"],
                cached=table["kv_prefill"]), table["time_us"] * 1e-6


def rtx_attention_sets(data, keep):
    """The rows of TP1 that `keep` selects, and those of the TP2 tables by name."""
    sets = {}
    for model, tp in (("Llama-3.1-8B", 1), ("Llama-3.1-8B", 2), ("Qwen3-32B", 2)):
        inputs, seconds = rtx_attention(data, model, tp)
        mask = keep(inputs)
        sets[f"{model} TP{tp}"] = (select(inputs, mask), seconds[mask])
    return sets.pop("Llama-3.1-8B TP1"), sets


def fit_rtx_attention(report, data, chip):
    first, others = rtx_attention_sets(data, lambda d: d["chunk"] == 0)
    start = {n: v for n, v in DECODE_START.items() if n != "t_call_fp8"}
    decode = fit_then_predict(report, "rtx-pro-6000 decode attention",
                              lambda p, d: decode_seconds(p, chip, d), start, first, others)
    fit_then_predict(report, "rtx-pro-6000 decode attention as a line in KV bytes",
                     lambda p, d: p["t_call"] + d["batch"] * d["context"] * d["kv_heads"] *
                     4 * HEAD_DIM / (p["eta_b"] * chip["hbm"]), dict(t_call=1e-5, eta_b=0.9),
                     first, others)
    start = dict(eta_f=0.7, eta_b=0.8, t_call=5e-6, t_item=2e-6)
    first, others = rtx_attention_sets(data, lambda d: d["chunk"] > 0)
    mixed = fit_then_predict(report, "rtx-pro-6000 chunks, with or without decodes (one launch)",
                             lambda p, d: mixed_seconds(p, chip, d), start, first, others)
    table = "rtx-pro-6000 chunk alone, same constants"
    print(f"\n{table}")
    first, others = rtx_attention_sets(data, lambda d: (d["chunk"] > 0) & (d["decodes"] == 0))
    for what, (inputs, seconds) in {"Llama-3.1-8B TP1": first, **others}.items():
        report.error(table, what, mixed_seconds(mixed, chip, inputs), seconds)
    compare_mix_penalty(report, data, chip, mixed, decode)
    fit_rtx_skew(report, data)


def compare_mix_penalty(report, data, chip, mixed, decode):
    """The simpler form mu * (chunk alone + decodes alone) on the same rows."""
    table = "rtx-pro-6000 mixed attention as mu * (chunk + decodes)"
    print(f"\n{table}")
    first, others = rtx_attention_sets(data, lambda d: (d["chunk"] > 0) & (d["decodes"] > 0))

    def apart(d):
        alone = dict(d, decodes=np.zeros(len(d["decodes"])))
        return mixed_seconds(mixed, chip, alone) + decode_seconds(decode, chip, d)

    mu = float(np.exp(np.median(np.log(first[1] / apart(first[0])))))
    report.constants[table] = dict(mu=mu)
    print(f"    mu {mu:.3f}")
    report.error(table, "fit", mu * apart(first[0]), first[1])
    for what, (inputs, seconds) in others.items():
        report.error(table, "predicted, " + what, mu * apart(inputs), seconds)


def fit_rtx_skew(report, data):
    """Uneven contexts: t = t_mean + skew * (t_max - t_mean), one number for all."""
    table = read_table(sim_path(data, "Llama-3.1-8B", "tp1_skew"))
    half = alternate_rows(len(table["t_mean_us"]))
    t_mean, t_max, t_skew = (table[n] * 1e-6 for n in ("t_mean_us", "t_max_us", "t_skew_us"))
    candidates = np.arange(0.0, 0.31, 0.005)
    losses = [np.mean(abs(np.log((t_mean + a * (t_max - t_mean)) / t_skew))[half])
              for a in candidates]
    skew = float(candidates[int(np.argmin(losses))])
    print(f"\nrtx-pro-6000 uneven contexts\n    skew {skew:.3f}")
    report.constants["rtx-pro-6000 uneven contexts"] = dict(skew=skew)
    report.error("rtx-pro-6000 uneven contexts", "predicted, alternate rows",
                 (t_mean + skew * (t_max - t_mean))[~half], t_skew[~half])


def fit_rtx_sampler(report, data):
    def rows(model):
        table = read_table(sim_path(data, model, f"tp{1 if 'Llama' in model else 2}_per_sequence"))
        sampler = select(table, table["layer"] == "sampler")
        return (dict(bytes=4.0 * MODELS[model][4] * sampler["sequences"]),
                sampler["time_us"] * 1e-6)

    chip = CHIPS["rtx-pro-6000"]
    fit_then_predict(report, "rtx-pro-6000 sampler", lambda p, d: elementwise_seconds(p, chip, d),
                     CACHE_START, rows("Llama-3.1-8B"), {"Qwen3-32B": rows("Qwen3-32B")})


# --- Power of B200 operators ------------------------------------------------------------------
E_HBM_PJ_PER_BIT = 11.7  # GH200 as measured by Antepara et al., SC'25; a free fit is collinear
POWER_START = dict(p0_w=370.0, e_pj=0.5)


def operator_work(table, kind):
    """FLOPs and HBM bytes of each row."""
    if kind == "gemm_bfloat16":
        m, n, k = table["m"], table["n"], table["k"]
        return 2 * np.ceil(m / 64) * 64 * n * k, 2 * (m * k + n * k + m * n)
    d = attention_inputs(table)
    width = np.where(d["fp8"], 1.0, 2.0)
    if kind == "generation_attention":
        rows = d["batch"] * d["context"]
        flops = 4 * HEAD_DIM * rows * d["heads"]
        return flops, 2 * HEAD_DIM * (width * rows * d["kv_heads"] + 2 * d["batch"] * d["heads"])
    rows = d["batch"] * d["chunk"]
    flops = 2 * HEAD_DIM * rows * d["heads"] * (d["chunk"] + 1)
    return flops, 2 * HEAD_DIM * rows * (2 * d["heads"] + width * d["kv_heads"])


def predicted_watts(p, d):
    return p["p0_w"] + 1e-12 * p["e_pj"] * d["rate"] + d["hbm_watts"]


def power_rows(data):
    """{table: rates of work, watts} and whether a row is below the limit."""
    parts = {}
    for kind in ("gemm_bfloat16", "context_attention", "generation_attention"):
        table, seconds, usable = aic_table(data, "b200", kind)
        flops, traffic = operator_work(table, kind)
        parts[kind] = dict(rate=flops / seconds, seconds=seconds, watts=table["power_w"],
                           hbm_watts=8e-12 * E_HBM_PJ_PER_BIT * traffic / seconds, usable=usable)
    return parts


def report_reading_noise(report, data):
    """How far readings of one and the same decode call differ: contexts below one KV tile."""
    table, _, _ = aic_table(data, "b200", "generation_attention")
    short = select(table, table["isl"] + table["step"] <= 64)
    fp8 = (short["kv_dtype"] == "fp8").astype(float)
    keys = np.stack([short[n] for n in ("batch_size", "num_heads", "num_kv_heads")] + [fp8])
    group = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    middle = np.array([np.median(short["power_w"][group == g]) for g in range(group.max() + 1)])
    report.error("b200 power", "same call read again (no model)", middle[group], short["power_w"])


def fit_power(report, data):
    """P = P0 + (e_F * FLOPs + 8 * e_HBM * bytes) / t with the measured t, e_HBM anchored."""
    print("\nb200 power: P0 + (e_F F + 8 e_HBM B)/t at the measured times, below 97 % of the limit")
    report_reading_noise(report, data)
    parts = power_rows(data)
    joined = {n: np.concatenate([part[n] for part in parts.values()])
              for n in ("rate", "seconds", "watts", "hbm_watts", "usable")}
    for what, shortest in (("all", 0.0), ("calls over 1 ms", 1e-3)):
        rows = select(joined, joined["usable"] & (joined["seconds"] >= shortest))
        half = alternate_rows(len(rows["watts"]))
        sides = [select(rows, half), select(rows, ~half)]
        fits = [fit(predicted_watts, POWER_START, side, side["watts"]) for side in sides]
        report.error("b200 power", f"fit, alternate rows, {what}",
                     predicted_watts(fits[0], sides[0]), sides[0]["watts"])
        report.error("b200 power", f"predicted, alternate rows, {what}",
                     predicted_watts(fits[0], sides[1]), sides[1]["watts"])
        if shortest == 0.0:
            for kind, part in parts.items():
                part = select(part, part["usable"])
                report.error("b200 power", f"  {kind}", predicted_watts(fits[0], part),
                             part["watts"])
        report.keep(f"b200 power, {what}", fits[0], fits[1:])
    gemm = parts["gemm_bfloat16"]
    excess = gemm["watts"] - predicted_watts(report.constants["b200 power, all"], gemm)
    print(f"    GEMM: excess of a row against that of the row before it in the file: correlation "
          f"{np.corrcoef(excess[1:], excess[:-1])[0, 1]:.2f}")
    capped = select(gemm, ~gemm["usable"] & (gemm["rate"] > 1e15))
    for p0 in (300.0, 370.0, 455.0):
        energy = 1e12 * (capped["watts"] - p0 - capped["hbm_watts"]) / capped["rate"]
        low, middle, high = np.quantile(energy, (0.1, 0.5, 0.9))
        print(f"    capped GEMM over 1 PFLOP/s, P0 {p0:.0f} W: e_F {middle:.2f} pJ/FLOP "
              f"({low:.2f} .. {high:.2f})")


SECTIONS = {"operators": fit_aiconfigurator, "collectives": fit_collectives, "a100": fit_a100,
            "rtx": fit_rtx, "power": fit_power}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=os.environ.get("SCOVILLE_PROFILES_DATA"))
    parser.add_argument("--only", choices=SECTIONS, action="append", help="sections to run")
    parser.add_argument("--json", help="write constants and errors here")
    arguments = parser.parse_args()
    if not arguments.data:
        sys.exit("no data: give --data DIR or set SCOVILLE_PROFILES_DATA; README.md beside this "
                 "script says where the tables come from")
    report = Report()
    for name in arguments.only or SECTIONS:
        SECTIONS[name](report, arguments.data)
    if arguments.json:
        with open(arguments.json, "w") as handle:
            json.dump(dict(constants=report.constants, errors=report.rows), handle, indent=1)


if __name__ == "__main__":
    main()
