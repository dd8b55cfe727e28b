#!/usr/bin/env python3
"""Whole steps and power of vLLM on H100 and B200 (ML.ENERGY benchmark) against the product's prices.

  python3 tests/validation/whole_steps.py --data DIR [--fit] [--json FILE]

DIR (or SCOVILLE_PROFILES_DATA) holds mlenergy/llm_measured_power_latency.csv: rows of "The ML.ENERGY Benchmark",
NeurIPS Datasets and Benchmarks 2025 (steady state; mean power of all boards, median inter-token time, tokens/s).

Without --fit the profiles of deploy/profiles are taken as they are. With --fit their host and power constants are
fitted first, and printed, on the rows FIT names and below the power cap; everything else is predicted either way.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import sys

import numpy as np

import step_pricing

CARDS = ("qwen3-235b-a22b", "qwen3-32b", "qwen3-8b", "gpt-oss-20b", "llama-3.1-8b", "llama-3.1-70b")
DENSE = ("qwen3-32b", "qwen3-8b", "llama-3.1-8b", "llama-3.1-70b")
FIT = ("llama-3.1-8b", "llama-3.1-70b", "qwen3-32b")  # their chat rows
# Prompt lengths are not in the data. Assumed: a chat prompt, and a GPQA question with its choices and instructions.
PROMPT = {"lm-arena-chat": 250, "gpqa": 400}
CAP = {"H100": 700.0, "B200": 1000.0}  # W a board
NEAR_CAP = 0.97  # rows above this share of the cap are throttled: predicted, never fitted
CONTEXTS = 8  # decodes stand at so many evenly spread places of their outputs
PJ = 1e-12


def read_rows(data):
    path = pathlib.Path(data) / "mlenergy" / "llm_measured_power_latency.csv"
    if not path.exists():
        sys.exit(f"{path} is missing: give the folder that holds mlenergy/ with --data")
    rows = []
    with open(path, encoding="utf-8", newline="") as file:
        for raw in csv.DictReader(file):
            card = next(c for c in CARDS if c in raw["model"].lower())
            boards = int(raw["num_gpus"])
            batch, rate = float(raw["avg_batch_size"]), float(raw["output_tok_per_s"])
            rows.append({
                "card": card, "gpu": raw["gpu"], "task": raw["task"], "boards": boards, "batch": batch,
                "running": int(raw["max_num_seqs"]), "expert_parallel": float(raw["ep"]) > 1,
                "fp8": raw["weight_precision"] == "fp8", "output": float(raw["avg_output_len"]),
                "step": batch / rate, "itl": float(raw["median_itl_ms"]) / 1e3,
                "watts": float(raw["avg_power_w_total"]) / boards, "joules": float(raw["joule_per_output_token"]),
            })
    for row in rows:
        row["fit"] = row["task"] == "lm-arena-chat" and row["card"] in FIT
        row["capped"] = row["watts"] >= NEAR_CAP * CAP[row["gpu"]]
    return rows


def steps_of(row):
    """The steps of a steady state as (share, question): all running sequences decode, and each output that ends brings a
    new prompt, batch/output prompts a step; between whole numbers of prompts the shares interpolate."""
    running = max(1, round(row["batch"]))
    prompt = PROMPT[row["task"]]
    rate = running / row["output"]
    low = math.floor(rate)
    steps = []
    for prompts, share in ((low, low + 1 - rate), (low + 1, rate - low)):
        decodes = running - prompts
        if share <= 0 or decodes < 0:
            continue
        places = max(1, min(CONTEXTS, decodes))
        question = {
            "profile": step_pricing.profile(row["gpu"].lower() + "-sxm"), "card": row["card"], "chips": row["boards"], "state": "all",
            "decodes": [{"count": decodes // places + (1 if i < decodes % places else 0),
                         "context": int(prompt + row["output"] * (i + 0.5) / places)} for i in range(places)],
        }
        if row["fp8"]:
            question["precision"] = {"weights": "fp8", "experts": "fp8", "activations": "fp8"}
        if row["expert_parallel"]:
            question["expert_parallel"] = True
        if prompts:
            question["prefills"] = [{"count": prompts, "new": prompt}]
        steps.append((share, question))
    return steps


def price_rows(program, rows, numbers, host_of=None):
    """For each row its steps as (share, answers by clock). `numbers`: SI values in place of a profile's, by GPU;
    `host_of(row)`: seconds of host in place of the profile's."""
    owners, questions = [], []
    for index, row in enumerate(rows):
        for share, question in steps_of(row):
            replaced = dict(numbers.get(row["gpu"], {}))
            if host_of is not None:
                replaced.update(host_step=host_of(row), host_sequence=0.0)
            if replaced:
                question["numbers"] = replaced
            owners.append((index, share))
            questions.append(question)
    priced = [[] for _ in rows]
    for (index, share), answer in zip(owners, step_pricing.price(program, questions)):
        priced[index].append((share, answer))
    return priced


def mean(steps, value, state=-1):
    return sum(share * value(answers[state]) for share, answers in steps)


def operating_point(row, steps):
    """What the row would show: at the fastest clock whose mean power is within the cap (every clock is looked at)."""
    best = None
    for state in range(len(steps[0][1])):
        seconds = mean(steps, lambda a: a["seconds"], state)
        watts = mean(steps, lambda a: a["joules"], state) / seconds / row["boards"]
        if watts <= CAP[row["gpu"]] and (best is None or seconds <= best["step"]):
            best = {"step": seconds, "watts": watts, "state": state, "top": state == len(steps[0][1]) - 1}
    ordered = sorted((answers[best["state"]]["seconds"], share) for share, answers in steps)
    best["itl"] = ordered[0][0] if ordered[0][1] >= 0.5 else ordered[-1][0]
    best["joules"] = best["watts"] * row["boards"] * best["step"] / row["batch"]
    return best


# ---- fitting -------------------------------------------------------------------------------------------------------

def least_absolute(columns, target, bounds):
    """Minimises sum |columns x - target| (reweighted least squares), x within bounds."""
    x = np.array([float(low) for low, _ in bounds])
    free = list(range(len(bounds)))
    fixed = {}
    while True:
        weights = np.ones(len(target))
        rest = target - sum((columns[:, i] * v for i, v in fixed.items()), np.zeros(len(target)))
        for _ in range(80):
            if free:
                x[free] = np.linalg.lstsq(columns[:, free] * weights[:, None], rest * weights, rcond=None)[0]
            weights = 1 / np.sqrt(np.maximum(np.abs(columns[:, free] @ x[free] - rest), 0.005))
        outside = lambda i: max(bounds[i][0] - x[i], x[i] - bounds[i][1]) / (bounds[i][1] - bounds[i][0])  # noqa: E731
        worst = max(free, key=outside, default=None)
        if worst is None or outside(worst) <= 0:
            for i, value in fixed.items():
                x[i] = value
            return x
        fixed[worst] = min(max(x[worst], bounds[worst][0]), bounds[worst][1])
        free.remove(worst)


def fit_host(rows, priced):
    """host_step and host_sequence from the step times, relative errors, clock at the top."""
    columns, target = [], []
    for row, steps in zip(rows, priced):
        forward = mean(steps, lambda a: a["seconds"] - a["host_gap_seconds"])
        columns.append([1 / row["step"], row["batch"] / row["step"]])
        target.append(1 - forward / row["step"])
    columns, target = np.array(columns), np.array(target)
    x = least_absolute(columns, target, [(0, 5e-3), (0, 2e-4)])
    return x, np.abs(columns @ x - target)


def fit_power(rows, priced, per_flop, hbm, link):
    """Watts in the host gap, what the forward phase adds to them, and J/FLOP within `per_flop`; measured step times."""
    columns, target = [], []
    for row, steps in zip(rows, priced):
        boards = row["boards"]
        work = lambda f: mean(steps, lambda a: f(a["work"]))  # noqa: E731
        forward = work(lambda w: w["forward_seconds"] * (1 - 0.5 * w["comm_share"]))
        flops = work(lambda w: w["flops_executed"]["bf16"] + 0.5 * w["flops_executed"]["fp8"]) / boards
        moved = work(lambda w: hbm * w["hbm_bytes_per_chip"] + link * w["link_bytes_per_chip"]) * 8
        energy = row["watts"] * row["step"]
        columns.append([row["step"] / energy, min(forward, row["step"]) / energy, flops / energy * PJ])
        target.append(1 - moved / energy)
    columns, target = np.array(columns), np.array(target)
    x = least_absolute(columns, target, [(50, 600), (0, 600), per_flop])
    return x, np.abs(columns @ x - target)


# What the two chips' fits hold fixed: idle power (retention + leakage at the top clock's voltage), its split, and the
# range in which operators measured at the cap leave the energy of a FLOP.
HELD = {
    "H100": {"retention_power": 80.0, "leakage_power": 60.0, "energy_bf16": (0.5, 0.8), "decode_query_rows": 128},
    "B200": {"retention_power": 92.0, "leakage_power": 68.0, "energy_bf16": (0.3, 0.5), "decode_query_rows": 64},
}
SAMPLING = [x * 1e6 for x in range(0, 241, 20)]  # bytes a row, tried in turn; of the stack, so the same on both chips


def fit(program, rows, hbm=11.7e-12, link=6e-12):
    """SI numbers by GPU, fitted on the rows marked so that are below the cap."""
    chosen = None
    for traffic in SAMPLING:
        numbers, loss, report = {}, 0.0, []
        for gpu in CAP:
            mine = [r for r in rows if r["gpu"] == gpu and r["fit"] and not r["capped"]]
            held = HELD[gpu]
            given = {"sampling_traffic": float(traffic), "decode_query_rows": float(held["decode_query_rows"])}
            priced = price_rows(program, mine, {gpu: given})
            host, host_errors = fit_host(mine, priced)
            watts, watt_errors = fit_power(mine, priced, held["energy_bf16"], hbm, link)
            idle = held["retention_power"] + held["leakage_power"]
            activity = max(1.0, watts[0] + watts[1] - idle)
            gap = min(1.0, max(0.0, (watts[0] - idle) / activity))
            numbers[gpu] = {key: float(value) for key, value in {
                **given, "host_step": host[0], "host_sequence": host[1],
                "retention_power": held["retention_power"], "leakage_power": held["leakage_power"],
                "activity_power": activity, "host_gap_activity": gap,
                "energy_bf16": watts[2] * PJ, "energy_fp8": watts[2] * PJ / 2,
            }.items()}
            loss += float(np.mean(host_errors) + np.mean(watt_errors))
            report.append(f"{gpu} step time {100 * np.median(host_errors):.1f} %, watts {100 * np.median(watt_errors):.1f} %"
                          f" (gap {watts[0]:.0f} W, +{watts[1]:.0f} W busy, {watts[2]:.2f} pJ/FLOP)")
        print(f"  sampling {traffic / 1e6:3.0f} MB a row: loss {loss:.3f}; " + "; ".join(report))
        if chosen is None or loss < chosen[0]:
            chosen = (loss, numbers)
    return chosen[1]


# ---- report --------------------------------------------------------------------------------------------------------

def errors(rows, points, key):
    return np.array([p[key] / r[key] - 1 for r, p in zip(rows, points)]) * 100


def summary(values):
    if len(values) == 0:
        return "–"
    a = np.abs(values)
    return f"{np.median(a):.1f} / {np.quantile(a, 0.9):.1f} / {np.median(values):+.1f}"


def groups(rows):
    """(name, indices): each model, task and chip, then what the targets are about."""
    at = lambda test: [i for i, r in enumerate(rows) if test(r)]  # noqa: E731
    for card in CARDS:
        for task in PROMPT:
            for gpu in CAP:
                found = at(lambda r: (r["card"], r["task"], r["gpu"]) == (card, task, gpu))  # noqa: B023
                if found:
                    kind = "fit" if rows[found[0]]["fit"] else "predicted"
                    yield f"{card} {task} {gpu}", kind, found
    wide = lambda r: r["card"] in DENSE and r["running"] >= 16  # noqa: E731
    yield "dense, batch >= 16", "fit", at(lambda r: wide(r) and r["fit"] and not r["capped"])
    yield "dense, batch >= 16", "predicted", at(lambda r: wide(r) and not r["fit"])
    yield "dense, batch >= 16", "fit models at the cap", at(lambda r: wide(r) and r["fit"] and r["capped"])
    yield "dense, batch >= 16", "all", at(wide)


def shape(rows, points, gpu):
    """P(batch) of gpt-oss-20b: (batch, measured, predicted) up to the peak's successors."""
    found = sorted((r["running"], r["watts"], p["watts"]) for r, p in zip(rows, points)
                   if r["card"] == "gpt-oss-20b" and r["gpu"] == gpu)
    return found


def peak_and_fall(curve, column):
    """Where P is highest among up to 128 running, and by how many percent it is lower at its least up to 512."""
    early = [c for c in curve if c[0] <= 128]
    top = max(early, key=lambda c: c[column])
    later = [c[column] for c in curve if top[0] < c[0] <= 512]
    return top[0], 100 * (1 - min(later) / top[column])


def report(rows, points, given):
    print("\nErrors in %: median |e| / 90th percentile of |e| / median signed error. `rates put in`: the measured time of a"
          "\nstep is given and only its power predicted.\n")
    print("| rows | | n | watts | watts, rates put in | step time | median ITL | J per output token |")
    print("|---|---|---|---|---|---|---|---|")
    result = {}
    for name, kind, index in groups(rows):
        r = [rows[i] for i in index]
        p = [points[i] for i in index]
        g = [given[i] for i in index]
        e = {k: errors(r, p, k) for k in ("watts", "step", "itl", "joules")}
        print(f"| {name} | {kind} | {len(r)} | {summary(e['watts'])} | {summary(errors(r, g, 'watts'))} | "
              f"{summary(e['step'])} | {summary(e['itl'])} | {summary(e['joules'])} |")
        result[f"{name}, {kind}"] = {k: float(np.median(np.abs(v))) for k, v in e.items()}
        result[f"{name}, {kind}"]["watts, rates put in"] = float(np.median(np.abs(errors(r, g, "watts"))))
    print("\ngpt-oss-20b, watts against sequences running (measured / predicted / predicted with the rates put in):")
    for gpu in CAP:
        curve = shape(rows, points, gpu)
        with_rates = shape(rows, given, gpu)
        print(f"  {gpu}: " + "  ".join(f"{c[0]}: {c[1]:.0f}/{c[2]:.0f}/{w[2]:.0f}" for c, w in zip(curve, with_rates)))
        measured, predicted = peak_and_fall(curve, 1), peak_and_fall(curve, 2)
        print(f"    peak at {measured[0]} then -{measured[1]:.0f} % measured; at {predicted[0]} then "
              f"-{predicted[1]:.0f} % predicted")
        result[f"gpt-oss-20b shape {gpu}"] = {"measured": measured, "predicted": predicted}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("SCOVILLE_PROFILES_DATA"))
    parser.add_argument("--price-steps", help="the program; default: the one of a build under build/")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--rows", action="store_true", help="print every row")
    parser.add_argument("--json", help="write the summary here")
    args = parser.parse_args()
    if not args.data:
        parser.error("--data or SCOVILLE_PROFILES_DATA is needed")
    program = step_pricing.find_program(args.price_steps)
    rows = read_rows(args.data)
    numbers = {}
    if args.fit:
        print("Fitted on the chat rows of " + ", ".join(FIT) + f" below {100 * NEAR_CAP:.0f} % of the cap:")
        numbers = fit(program, rows)
        for gpu, values in numbers.items():
            print(f"  {gpu}: " + ", ".join(f"{k} {v:.4g}" for k, v in values.items()))
    priced = price_rows(program, rows, numbers)
    points = [operating_point(r, s) for r, s in zip(rows, priced)]
    forward = [mean(s, lambda a: a["seconds"] - a["host_gap_seconds"]) for s in priced]
    rest = {id(r): max(0.0, r["step"] - f) for r, f in zip(rows, forward)}
    given = [operating_point(r, s)
             for r, s in zip(rows, price_rows(program, rows, numbers, lambda r: rest[id(r)]))]
    if args.rows:
        for r, p, g, f in zip(rows, points, given, forward):
            print(f"{r['task'][:5]} {r['card']} {r['boards']}x{r['gpu']} {r['running']}: step {p['step'] * 1e3:.2f}/"
                  f"{r['step'] * 1e3:.2f} (forward {f * 1e3:.2f}) W {p['watts']:.0f}/{r['watts']:.0f} "
                  f"given {g['watts']:.0f} state {p['state']}")
    result = report(rows, points, given)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
