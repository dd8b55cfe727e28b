#!/usr/bin/env python3
"""Scheduling policies beside the rules of other engines, on real traffic, in virtual time.

  python3 tests/validation/policies.py --bin build/release/bin/scoville-sim [--mooncake FILE] [--azure FILE]

Without files the excerpts of tests/data are replayed, which says only that the script works. The files:
conversation_trace.jsonl (github.com/kvcache-ai/Mooncake, FAST25-release/traces), AzureLLMInferenceTrace_conv.csv
(github.com/Azure/AzurePublicDataset). Only the scheduler differs between rows: pool, step budget, traffic, tokens and
targets are equal. README.md says what each rule is taken from. Standard library only.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA = ROOT / "tests/data"

RIVAL = (
    "queue: fcfs, fairness: {enabled: false}, classes: false, look_ahead: 0, max_preemptions: 0, refuse_hopeless: false,"
    " promised_prefixes: false"
)
VLLM = f"{RIVAL}, join: prompt_fits, victims: newest"
SGLANG = f"{RIVAL}, join: new_token_ratio, victims: least_output"
PRESETS = {
    "vLLM-like, round robin": f"{VLLM}, routing: round_robin",
    "vLLM-like, least loaded": f"{VLLM}, routing: least_loaded",
    "SGLang-like, prefix sticky": f"{SGLANG}, routing: prefix_sticky",
    "ours, round robin": "TARGETS, routing: round_robin",
    "ours": "TARGETS",
}
ABLATIONS = {
    "ours, prompt_fits": "TARGETS, join: prompt_fits",
    "ours, newest victim": "TARGETS, victims: newest",
    "ours, prefix sticky": "TARGETS, routing: prefix_sticky",
    "ours, least loaded": "TARGETS, routing: least_loaded",
    "ours, no look-ahead": "TARGETS, look_ahead: 0",
    "ours, fcfs": "TARGETS, queue: fcfs",
    "ours, no fairness": "TARGETS, fairness: {enabled: false}",
    "ours, no step target": "ttft_target: TTFT",
    "ours, late in place": "TARGETS, late_share: 0",
    "ours, every gap held": "TARGETS, lend_slack: false",
    "ours, all it may need kept": "TARGETS, join: reserve",
    "ours, no promised prefixes": "TARGETS, promised_prefixes: false",
    "ours, no prefix cache": "TARGETS | prefix_cache: false",  # of the pool
    "ours, no refusals": "TARGETS, refuse_hopeless: false",
}
TENANTS = (
    "[{name: chat, share: 3, class: interactive}, {name: flood, share: 5}, {name: small, share: 1},"
    " {name: night, share: 1, class: batch, ttft: 60s, itl: 1s, deadline: 600s}]"
)
# Mooncake's conversations are long and share beginnings; Azure's are short. Blocks are few, so that KV binds as well as time.
TRACES = {
    "mooncake": {
        "pool": "profile: h100-sxm, devices: 8, kv_blocks: 16384",
        "workload": "mooncake_trace: FILE, trace_spread: true, max_tokens: 4096, deadline: 120s",
        "excerpt": DATA / "traces/mooncake_conversation.jsonl",
        "ttft": "10s",
        "itl": "100ms",
        "speeds": [2, 2.5, 3],
    },
    "azure": {
        "pool": "profile: h100-sxm, devices: 2, kv_blocks: 4096",
        "workload": "azure_trace: FILE, max_tokens: 2048, deadline: 60s",
        "excerpt": DATA / "azure2023/conversation_200.csv",
        "ttft": "2s",
        "itl": "50ms",
        "speeds": [4, 4.5, 5],
    },
}


def run(options, folder, trace, speed, preset, seed, tenants):
    spec = TRACES[trace] | {k: v for k, v in (("ttft", options.ttft), ("itl", options.itl)) if v}
    rules, _, pool = preset.partition(" | ")
    scheduler = rules.replace("TARGETS", "ttft_target: TTFT, itl_target: ITL")
    scheduler = scheduler.replace("TTFT", spec["ttft"]).replace("ITL", spec["itl"])
    workload = spec["workload"].replace("FILE", str(getattr(options, trace)))
    scenario = folder / "scenario.yaml"
    scenario.write_text(
        f"""name: policies
seed: {seed}
model: {{card: llama-3.1-8b}}
pool: {{executor: synthetic, {spec["pool"]}{", " + pool if pool else ""}}}
scheduler:
  {{max_running: 256, max_step_tokens: 2048, max_queued_requests: 100000, max_queued_tokens: 1000000000, {scheduler}}}
workload: {{requests: {options.requests}, trace_speed: {speed}, {workload}{f", tenants: {TENANTS}" if tenants else ""}}}
slo: {{ttft: {spec["ttft"]}, itl: {spec["itl"]}}}
"""
    )
    done = subprocess.run([options.bin, "run", str(scenario), "--json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"scoville-sim failed on {scenario.read_text()}:\n{done.stderr}")
    return json.loads(done.stdout)


COLUMNS = {
    "goodput": lambda r: r["requests"]["goodput_per_second"],
    "met %": lambda r: 100 * r["requests"]["slo_attainment"],
    "preempt": lambda r: r["devices"]["preemptions"],
    "again %": lambda r: 100 * r["tokens"]["recomputed"] / max(1, r["tokens"]["input"] + r["tokens"]["output"]),
    "waste %": lambda r: 100 * r["service"]["waste_share"],
    "hit %": lambda r: 100 * r["service"]["prefix_hit_share"],
    "Jain": lambda r: r["service"]["jain_index"],
    "missed": lambda r: r["service"]["deadline_misses"],
    "TTFT p50": lambda r: r["latency"]["ttft"]["p50_s"],
    "TTFT p99": lambda r: r["latency"]["ttft"]["p99_s"],
    "TPOT p99": lambda r: 1e3 * r["latency"]["tpot"]["p99_s"],
    "ITL p99": lambda r: 1e3 * r["latency"]["itl"]["p99_s"],
    "mJ/tok": lambda r: 1e3 * r["energy"]["device_joules_per_output_token"],
}


def row(name, trace, speed, results):
    cells = [statistics.median(f(r) for r in results) for f in COLUMNS.values()]
    text = [f"{c:.0f}" if c >= 1000 else f"{c:.3g}" if k != "Jain" else f"{c:.3f}" for k, c in zip(COLUMNS, cells)]
    print(f"| {name} | {trace} {speed:g}x | " + " | ".join(text) + " |", flush=True)


def fairness_cost(options, folder):
    print("\nFairness on beside off (traces with tenants, medians over the seeds)")
    for trace in options.traces:
        speed = (options.speeds or TRACES[trace]["speeds"])[-1]
        on, off = (
            [run(options, folder, trace, speed, PRESETS["ours"] + tail, seed, True) for seed in options.seeds]
            for tail in ("", ", fairness: {enabled: false}")
        )
        median = lambda results, f: statistics.median(f(r) for r in results)
        goodput = lambda r: r["requests"]["goodput_per_second"]
        host = lambda r: 1e9 * r["host_seconds"] / r["requests"]["offered"]
        print(
            f"{trace} {speed:g}x: goodput ratio {median(on, goodput) / median(off, goodput):.3f},"
            f" host ns a request {median(on, host):.0f} / {median(off, host):.0f} = {median(on, host) / median(off, host):.3f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin/scoville-sim"))
    for trace, spec in TRACES.items():
        parser.add_argument(f"--{trace}", type=pathlib.Path, default=spec["excerpt"])
    parser.add_argument("--traces", nargs="+", choices=TRACES, default=list(TRACES))
    parser.add_argument("--speeds", type=float, nargs="+", help="multiples of the trace's rate")
    parser.add_argument("--ttft", help="target of the first token, for rules and report, in place of the traffic's")
    parser.add_argument("--itl", help="target of the mean gap, in place of the traffic's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--requests", type=int, default=0, help="of a trace at most so many; 0: all")
    parser.add_argument("--tenants", action="store_true", help="four tenants in three classes instead of one")
    parser.add_argument("--ablations", action="store_true", help="ours with one rule changed at a time")
    parser.add_argument("--rules", default="", help="only those whose name has this in it")
    parser.add_argument("--fairness", action="store_true", help="what fairness costs, and nothing else")
    options = parser.parse_args()
    options.bin = os.path.abspath(options.bin)
    for trace in TRACES:
        setattr(options, trace, getattr(options, trace).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if options.fairness:
            fairness_cost(options, folder)
            return 0
        print("| rule | traffic | " + " | ".join(COLUMNS) + " |\n" + "|---" * (2 + len(COLUMNS)) + "|")
        presets = {"ours": PRESETS["ours"], **ABLATIONS} if options.ablations else PRESETS
        for trace in options.traces:
            for speed in options.speeds or TRACES[trace]["speeds"]:
                for preset, scheduler in presets.items():
                    if options.rules not in preset:
                        continue
                    row(preset, trace, speed, [run(options, folder, trace, speed, scheduler, s, options.tenants) for s in options.seeds])
    return 0


if __name__ == "__main__":
    sys.exit(main())
