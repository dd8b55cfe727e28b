#!/usr/bin/env python3
"""Errors of the product's operator prices on measured tables, and their agreement with the calibration's.

    check_operators.py --data DIR [--program PATH] [--json FILE]

Asks `price_operators` (price_operators.cc) for every row of the tables that fit_operators.py calibrates on, with the
shipped profiles, and prints for each table the errors on the half that no constant was fitted to and on all rows.
Beside them stands how far operator_model.py is from the product with the profile's own numbers; more than 1e-9 is an
error, exit code 1. Needs numpy and PyYAML; DIR as for fit_operators.py.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import yaml

import fit_operators as tables
from operator_calibration import errors, half_of_groups, read_table, select
from operator_model import (all_reduce_seconds, decode_seconds, gemm_seconds, mixed_seconds, prefill_seconds)

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROFILES = {"h100": "h100-sxm", "b200": "b200-sxm", "a100": "a100-80g-sxm", "rtx-pro-6000": "rtx-pro-6000-server"}
UNITS = {"PFLOP/s": 1e15, "TFLOP/s": 1e12, "TB/s": 1e12, "GB/s": 1e9, "us": 1e-6, "ns": 1e-9}
# The calibration's names of what a group calls otherwise.
NAMES = {"latency": "t_call", "latency_fp8": "t_call_fp8", "wave_latency": "t_wave", "split_latency": "t_split",
         "item_latency": "t_item", "tile_latency": "t_tile", "row_latency": "t_row", "value_latency": "t_element",
         "unaligned_efficiency": "misaligned", "conversion": "convert", "efficiency_fp8": "eta_f_fp8",
         "rank_latency": "t_rank", "second_latency": "t_second"}
MOST_DISAGREEMENT = 1e-9
HEAD_SIZE = 128


def find_program(given):
    places = [given] if given else sorted(str(p) for p in ROOT.glob("build/**/tests/validation/price_operators"))
    for place in places:
        if os.access(place, os.X_OK):
            return place
    sys.exit("price_operators not found: build that target and name it with --program PATH")


class Chip:
    """A profile's numbers as operator_model.py wants them."""

    def __init__(self, name):
        self.profile = PROFILES[name]
        self.path = ROOT / "deploy" / "profiles" / f"{self.profile}.yaml"
        self.file = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        self.sheet = dict(bf16=self.number("peak_bf16"), hbm=self.number("hbm_bandwidth"),
                          units=self.number("compute_units"), link=self.number("local_bandwidth"))
        if "peak_fp8" in self.file:
            self.sheet["fp8"] = self.number("peak_fp8")

    def number(self, key, group=None):
        entry = (group or self.file)[key]
        return entry["value"] * UNITS.get(entry.get("unit"), 1.0)

    def constants(self, group, eta_f=None, eta_b=None):
        """A group's constants; shares that it leaves to the profile by their keys there."""
        entries = self.file["operators"][group]
        found = {NAMES[key]: self.number(key, entries) for key in entries if key in NAMES}
        found.setdefault("t_split", np.inf)
        if eta_f:
            found["eta_f"] = self.number(eta_f)
        if "bandwidth_efficiency" in entries:
            found["eta_link" if group == "all_reduce" else "eta_b"] = self.number("bandwidth_efficiency", entries)
        elif eta_b:
            found["eta_b"] = self.number(eta_b)
        return found


class Check:
    def __init__(self, program):
        self.program, self.worst, self.rows = program, 0.0, {}

    def product(self, chip, kind, columns):
        rows = "".join(",".join([kind, *(value if isinstance(value, str) else repr(float(value)) for value in row)])
                       + "\n" for row in zip(*columns))
        done = subprocess.run([self.program, str(chip.path)], input=rows, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"price_operators {chip.profile}: {done.stderr.strip()}")
        return np.array([float(line) for line in done.stdout.split()])

    def table(self, label, chip, kind, columns, calibration, seconds, held_out=None):
        """`held_out`: rows that no constant was fitted to; none: all of them."""
        product = self.product(chip, kind, columns)
        apart = float(np.max(np.abs(product / calibration - 1)))
        self.worst = max(self.worst, apart)
        views = [errors(product, seconds)]
        if held_out is not None:
            views.insert(0, errors(product[held_out], seconds[held_out]))
        self.rows[label] = dict(views[0], apart=apart)
        texts = [f"{v['median']:.1f} / {v['p90']:.1f} / {v['bias']:+.1f} ({v['rows']})" for v in views]
        print(f"| {label} | " + " | ".join(texts if len(texts) == 2 else [texts[0], "–"]) + f" | {apart:.0e} |",
              flush=True)


def check_products(check, label, chip, math, table, seconds, held_out):
    suffix = "_fp8" if math == "fp8" else ""
    constants = chip.constants(f"gemm_{math}", "compute_efficiency" + suffix, "bandwidth_efficiency")
    m, n, k = table["m"], table["n"], table["k"]
    check.table(label, chip, "gemm", [[math] * len(m), m, n, k],
                gemm_seconds(constants, chip.sheet, dict(m=m, n=n, k=k), math), seconds, held_out)


def check_aiconfigurator(check, data):
    for name in ("h100", "b200"):
        chip = Chip(name)
        table, seconds, _ = tables.aic_table(data, name, "gemm_bfloat16")
        check_products(check, f"{name} GEMM bf16", chip, "bf16", table, seconds,
                       ~half_of_groups(table["n"], table["k"]))
        if name == "h100":
            table, seconds, _ = tables.aic_table(data, name, "gemm_fp8")
            check_products(check, "h100 GEMM fp8", chip, "fp8", table, seconds,
                           ~half_of_groups(table["n"], table["k"]))
        for kind, file in (("prefill", "context_attention"), ("decode", "generation_attention")):
            table, seconds, _ = tables.aic_table(data, name, file)
            d = tables.attention_inputs(table)
            size = len(seconds)
            heads = [d["heads"], d["kv_heads"], [HEAD_SIZE] * size, np.where(d["fp8"], 1.0, 2.0), d["batch"]]
            held_out = ~half_of_groups(d["heads"], d["kv_heads"])
            if kind == "decode":
                constants = chip.constants("decode", eta_b="attention_bandwidth_efficiency")
                calibration, columns = decode_seconds(constants, chip.sheet, d), heads + [d["context"]]
            else:
                group = chip.file["operators"]["prefill"]
                shape = dict(q_tile=group["query_tile"]["value"], pack=group["packed_tokens"]["value"])
                constants = chip.constants("prefill", "attention_efficiency")
                calibration = prefill_seconds(constants, chip.sheet, d, shape)
                columns = heads + [d["chunk"], d["cached"]]
            check.table(f"{name} {kind} attention", chip, kind, columns, calibration, seconds, held_out)


def check_collectives(check, data):
    chip = Chip("h100")
    table = read_table(os.path.join(data, "aiconfigurator", tables.AIC["h100"] + "custom_allreduce.csv"))
    table = select(table, table["backend"] == "vllm_graph")
    check_reduce(check, "h100 all-reduce, vLLM in a graph", chip, table["num_gpus"], 2 * table["message_size"],
                 table["latency_ms"] * 1e-3)
    table = read_table(os.path.join(data, "vidur", "a100_dgx_all_reduce_median.csv"))
    table = select(table, table["num_workers"] == table["devices_per_node"])
    check_reduce(check, "a100 all-reduce, one node", Chip("a100"), table["num_workers"], table["size_bytes"],
                 table["median_ms"] * 1e-3)


def check_reduce(check, label, chip, ranks, size, seconds):
    held_out = np.unique(size, return_inverse=True)[1] % 2 == 1
    calibration = all_reduce_seconds(chip.constants("all_reduce"), chip.sheet, dict(ranks=ranks, bytes=size))
    check.table(label, chip, "all_reduce", [ranks, size], calibration, seconds, held_out)


def check_layers(check, data):
    chip = Chip("a100")
    for model in ("Meta-Llama-3-8B", "Meta-Llama-3-70B"):
        (shapes, seconds), _ = tables.layer_rows(tables.vidur_entries(data, (model,)))
        check_products(check, f"a100 GEMM bf16, {model}", chip, "bf16", shapes, seconds, None)
    chip = Chip("rtx-pro-6000")
    for model in ("Llama-3.1-8B", "Qwen3-32B"):
        (shapes, seconds), _ = tables.layer_rows(tables.sim_entries(data, ((model, 2),)))
        check_products(check, f"rtx-pro-6000 GEMM bf16, {model} TP2", chip, "bf16", shapes, seconds, None)
    for model in ("Llama-3.1-8B", "Qwen3-32B"):
        d, seconds = tables.rtx_attention(data, model, 2)
        for alone in (True, False):
            mask = (d["chunk"] == 0) == alone
            part, times = select(d, mask), seconds[mask]
            heads = [part["heads"], part["kv_heads"], [HEAD_SIZE] * len(times), [2.0] * len(times)]
            if alone:
                constants = chip.constants("decode", eta_b="attention_bandwidth_efficiency")
                check.table(f"rtx-pro-6000 decode attention, {model} TP2", chip, "decode",
                            heads + [part["batch"], part["context"]], decode_seconds(constants, chip.sheet, part),
                            times)
            else:
                constants = chip.constants("prefill", "attention_efficiency")
                check.table(f"rtx-pro-6000 chunks, with or without decodes, {model} TP2", chip, "mixed",
                            heads + [part["chunk"], part["cached"], part["decodes"], part["context"]],
                            mixed_seconds(constants, chip.sheet, part), times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", default=os.environ.get("SCOVILLE_PROFILES_DATA"))
    parser.add_argument("--program", help="the built price_operators")
    parser.add_argument("--json", help="write the errors on rows not fitted here")
    arguments = parser.parse_args()
    if not arguments.data:
        sys.exit("no data: give --data DIR or set SCOVILLE_PROFILES_DATA; README.md beside this script says where the "
                 "tables come from")
    check = Check(find_program(arguments.program))
    print("| table | not fitted | all rows | apart |\n|---|---|---|---|")
    for part in (check_aiconfigurator, check_collectives, check_layers):
        part(check, arguments.data)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(check.rows, indent=1), encoding="utf-8")
    if check.worst > MOST_DISAGREEMENT:
        sys.exit(f"the product and operator_model.py disagree by {check.worst:.1e}")


if __name__ == "__main__":
    main()
