#!/usr/bin/env python3
"""Two real vLLM runs, predicted from measured operator times.

    end_to_end.py --bin build/bin/scoville-sim [--data DIR] [--variants] [--keep DIR]

DIR (default: the variable SCOVILLE_PROFILES_DATA) holds, as README.md names them,

    e2e_vllm_runs/RTXPRO6000_MODEL/          vllm_requests.jsonl, validation_summary.txt
    llmservingsim/RTXPRO6000/MODEL/          tpN_{attention,dense,per_sequence}.csv, tp1_skew.csv

Nothing is fitted to the runs. A run's scenario is written from its engine settings, simulated by
scoville-sim with the operator tables of its model and tensor parallelism, and each request's first
and last token compared. The tables lack two things, which come from elsewhere:

  * all-reduce over PCIe: nccl-tests on the same kind of card, tests/data/operator_tables/README.md;
  * the host: nothing is added, since vLLM (from 0.14 by default) plans a step while the one before
    it runs, and this host's work is far shorter than these steps.

--variants shows what other choices give. Exit code 1 if a mean misses its target: time to first
token 10 %, per output token 5 %, end to end 5 %. Standard library only.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROFILE = os.path.join(ROOT, "deploy", "profiles", "rtx-pro-6000-server.yaml")
ALL_REDUCE = os.path.join(ROOT, "tests", "data", "operator_tables", "all_reduce.csv")

RUNS = [  # model as the data names it, card, chips
    ("Llama-3.1-8B", "llama-3.1-8b", 1),
    ("Qwen3-32B", "qwen3-32b", 2),
]
TARGETS = {"TTFT": 10.0, "TPOT": 5.0, "E2E": 5.0}
STATISTICS = ["Mean", "Median", "P90", "P99"]
UPSTREAM = {"TTFT": "TTFT", "TPOT": "TPOT", "E2E": "Latency"}

# Name, and what differs from the prediction proper.
VARIANTS = [
    ("as predicted", {}),
    ("host: the profile's 1 ms + 50 us a sequence", {"host": True}),
    ("all-reduce: the profile's data sheet", {"all_reduce": False}),
    ("uneven contexts: 0.05 throughout", {"skew": False}),
]


def settings(**changes):
    chosen = {"host": False, "all_reduce": True, "skew": True}
    chosen.update(changes)
    return chosen


def quantile(values, q):
    """Between the nearest ranks, as the runs' own summaries have it."""
    values = sorted(values)
    place = q * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def statistics(values):
    return {"Mean": sum(values) / len(values), "Median": quantile(values, 0.5),
            "P90": quantile(values, 0.9), "P99": quantile(values, 0.99)}


def without_host(text):
    """The profile with its host terms at zero."""
    for key in ("host_step", "host_sequence"):
        block = re.search(rf"^{key}:\n(?:  .*\n)+", text, re.M)
        if block is None:
            sys.exit(f"{PROFILE}: no block {key}")
        unit = re.search(r"  unit: (\w+)", block.group()).group(1)
        text = text.replace(block.group(), (
            f"{key}:\n  value: 0\n  unit: {unit}\n  status: assumed\n  range: [0, 1]\n"
            "  reason: planned while the step before runs\n"))
    return text


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def prepare(folder, data, run, chosen):
    """Writes tables, profile and scenario of a run; the scenario's path."""
    model, card, chips = run
    source = os.path.join(data, "llmservingsim", "RTXPRO6000", model)
    tables = os.path.join(folder, "tables")
    os.makedirs(tables)
    for name in ("attention", "dense", "per_sequence"):
        shutil.copy(os.path.join(source, f"tp{chips}_{name}.csv"),
                    os.path.join(tables, name + ".csv"))
    skew = os.path.join(source, f"tp{chips}_skew.csv")
    if chosen["skew"] and os.path.exists(skew):
        shutil.copy(skew, os.path.join(tables, "skew.csv"))
    if chosen["all_reduce"] and chips > 1:
        shutil.copy(ALL_REDUCE, os.path.join(tables, "all_reduce.csv"))
    with open(PROFILE, encoding="utf-8") as profile:
        text = profile.read()
    write(os.path.join(folder, "profile.yaml"), text if chosen["host"] else without_host(text))
    shutil.copy(os.path.join(data, "e2e_vllm_runs", "RTXPRO6000_" + model, "vllm_requests.jsonl"),
                os.path.join(folder, "requests.jsonl"))
    scenario = os.path.join(folder, "scenario.yaml")
    write(scenario, f"""\
name: {card}
model: {{card: {card}}}
pool:
  profile: ./profile.yaml
  devices: 1
  chips_per_device: {chips}
  operator_tables: tables
  kv_block_size: 16
  # The tables were measured under the board's own power limit already.
  cap_per_device: {100000 * chips}W
scheduler: {{max_running: 128, max_step_tokens: 2048}}
workload: {{request_trace: requests.jsonl}}
""")
    return scenario


def simulate(binary, folder, data, run, chosen):
    """TTFT, TPOT and E2E of every request in seconds, and the report."""
    scenario = prepare(folder, data, run, chosen)
    answers = os.path.join(folder, "predicted.jsonl")
    result = subprocess.run([binary, "run", scenario, "--json", "--requests", answers],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"scoville-sim failed on {scenario}:\n{result.stderr}")
    values = {"TTFT": [], "TPOT": [], "E2E": []}
    with open(answers, encoding="utf-8") as lines:
        for line in lines:
            r = json.loads(line)
            first, last = r["first_token_ns"], r["last_token_ns"]
            add(values, (first - r["arrival_ns"]) * 1e-9, (last - first) * 1e-9,
                r["output_tokens"])
    return values, json.loads(result.stdout)


def add(values, ttft, decoding, tokens):
    values["TTFT"].append(ttft)
    values["E2E"].append(ttft + decoding)
    if tokens > 1:
        values["TPOT"].append(decoding / (tokens - 1))


def measured(data, model):
    values = {"TTFT": [], "TPOT": [], "E2E": []}
    path = os.path.join(data, "e2e_vllm_runs", "RTXPRO6000_" + model, "vllm_requests.jsonl")
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            r = json.loads(line)
            add(values, r["first_token_ts"] - r["queued_ts"],
                r["last_token_ts"] - r["first_token_ts"], r["output_toks"])
    return values


def upstream(data, model):
    """{(metric, statistic): error in %} of LLMServingSim, from its own summary."""
    errors = {}
    path = os.path.join(data, "e2e_vllm_runs", "RTXPRO6000_" + model, "validation_summary.txt")
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = re.match(r"(\w+) (\w+)\s+[\d.]+\s+[\d.]+\s+([+-][\d.]+)%", line)
            if row:
                errors[row.group(1), row.group(2)] = float(row.group(3))
    return errors


def error(predicted, truth):
    return (predicted / truth - 1) * 100


def print_run(run, truth, predicted, report, theirs):
    """One run's rows; whether its means are within the targets."""
    model, _, chips = run
    print(f"\n{model}, TP{chips}: {len(predicted['E2E'])} requests, "
          f"{report['devices']['steps']} steps, {report['devices']['throttled_steps']} throttled, "
          f"{report['devices']['preemptions']} preemptions")
    print(f"{'ms':14s}{'measured':>12s}{'predicted':>12s}{'error %':>9s}{'LLMServingSim %':>17s}")
    good = True
    for metric in ("TTFT", "TPOT", "E2E"):
        a, b = statistics(truth[metric]), statistics(predicted[metric])
        for name in STATISTICS:
            e = error(b[name], a[name])
            missed = name == "Mean" and abs(e) > TARGETS[metric]
            good = good and not missed
            other = theirs.get((UPSTREAM[metric], name))
            print(f"{metric + ' ' + name.lower():14s}{a[name] * 1e3:12.1f}{b[name] * 1e3:12.1f}"
                  f"{e:+9.1f}{'' if other is None else f'{other:+17.1f}'}"
                  f"{'  misses %g %%' % TARGETS[metric] if missed else ''}")
    return good


def print_variants(args, folder, data):
    print(f"\n{'errors of the means, %':46s}" +
          "".join(f"{m + ' ' + metric:>20s}" for m, _, _ in RUNS for metric in TARGETS))
    for number, (name, changes) in enumerate(VARIANTS):
        row = f"{name:46s}"
        for run in RUNS:
            truth = measured(data, run[0])
            place = os.path.join(folder, f"variant-{number}-{run[1]}")
            predicted, _ = simulate(args.bin, place, data, run, settings(**changes))
            for metric in TARGETS:
                e = error(statistics(predicted[metric])["Mean"], statistics(truth[metric])["Mean"])
                row += f"{e:+20.1f}"
        print(row)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("SCOVILLE_PROFILES_DATA"))
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin", "scoville-sim"))
    parser.add_argument("--variants", action="store_true", help="also with other choices")
    parser.add_argument("--keep", help="write scenarios and predictions there and keep them")
    args = parser.parse_args()
    if not args.data:
        parser.error("give --data or set SCOVILLE_PROFILES_DATA")
    args.bin = os.path.abspath(args.bin)
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or temporary
        for run in RUNS:
            predicted, report = simulate(args.bin, os.path.join(folder, run[1]), args.data, run,
                                         settings())
            good &= print_run(run, measured(args.data, run[0]), predicted, report,
                              upstream(args.data, run[0]))
        if args.variants:
            print_variants(args, folder, args.data)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
