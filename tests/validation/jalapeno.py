#!/usr/bin/env python3
"""Jalapeño's published figures against the one parameter set of deploy/profiles/jalapeno-gen1.yaml, and what each
assumed number does to them.

  python3 tests/validation/jalapeno.py [--price-steps PROGRAM] [--json FILE]

Published (openai.com/index/jalapeno-first-results, InferenceX, 8k tokens in, 1k out, no speculation): least time
between tokens, and input + output tokens a second per kilowatt of TDP. Concurrency and parallelism of each are not
published; assumed here: the least time with one sequence on 8 tensor-parallel chips, the throughput on 8 chips with
whole experts and data-parallel attention, FP8 KV cache, as many running as RUNNING says, and for each output token 8
prompt tokens in the same step. DeepSeek-R1 has every weight in MXFP4 and 8-bit activations; gpt-oss-120b keeps its own
widths (experts MXFP4, the rest and the activations BF16).
"""

import argparse
import json
import pathlib

import step_pricing

PROFILE = step_pricing.profile("jalapeno-gen1")
CHIPS = 8
PROMPT, OUTPUT = 8192, 1024
CONTEXT = PROMPT + OUTPUT // 2  # of a sequence half way through its output
RUNNING = (512, 1024, 2048, 4096)
TYPICAL = 2048  # the figure that is compared; the others show how much it hangs on this
CHUNK = 2048  # prompt tokens of one sequence in a step
TDP_KW = 0.7
MOST_WATTS = 550.0  # "never above", on the tested workloads

MODELS = {
    "gpt-oss-120b": {"card": "gpt-oss-120b", "precision": {"kv": "fp8"}},
    "DeepSeek-R1": {"card": "deepseek-r1",
                    "precision": {"weights": "mxfp4", "experts": "mxfp4", "activations": "fp8", "kv": "fp8"}},
}
PUBLISHED = {  # (s, tokens/s/kW)
    "gpt-oss-120b": (0.69e-3, 85448.0),
    "DeepSeek-R1": (1.43e-3, 19641.0),
}
TIME_TARGET, RATE_TARGET = 15.0, 25.0  # percent


def least_time_step(model):
    return dict(model, profile=PROFILE, chips=CHIPS, decodes=[{"count": 1, "context": CONTEXT}])


def mixed_step(model, running):
    """`running` outputs each advance by a token, PROMPT / OUTPUT prompt tokens for each of them, in chunks that stand
    evenly over their prompts."""
    fresh = running * PROMPT // OUTPUT
    chunk = min(CHUNK, fresh // 4)
    places = PROMPT // CHUNK
    each = fresh // chunk // places
    chunks = [{"count": each, "cached": place * CHUNK, "new": chunk, "unfinished": place + 1 < places}
              for place in range(places)]
    return dict(model, profile=PROFILE, chips=CHIPS, expert_parallel=True, data_parallel_attention=True,
                decodes=[{"count": running, "context": CONTEXT}], prefills=chunks)


def questions(change):
    """Every step of the comparison under a changed profile, in a fixed order."""
    steps = []
    for model in MODELS.values():
        steps.append(least_time_step(model))
        steps += [mixed_step(model, running) for running in RUNNING]
    return [dict(step, **change) for step in steps]


def figures(answers):
    """By model: least time, tokens/s/kW by running, watts a chip of every step."""
    result = {}
    per_model = 1 + len(RUNNING)
    for i, name in enumerate(MODELS):
        part = answers[i * per_model:(i + 1) * per_model]
        rates = {running: running * (1 + PROMPT // OUTPUT) / a["seconds"] / CHIPS / TDP_KW
                 for running, a in zip(RUNNING, part[1:])}
        result[name] = {
            "least_time": part[0]["seconds"], "rates": rates, "rate": rates[TYPICAL],
            "watts": {"least time": part[0]["watts"]["mean"] / CHIPS,
                      **{running: a["watts"]["mean"] / CHIPS for running, a in zip(RUNNING, part[1:])}},
            "highest_phase": max(a["watts"]["forward"] for a in part) / CHIPS,
        }
    return result


def deviations(found):
    """The four figures against the published ones, in percent, and the highest watts of any step's phase."""
    row = {}
    for name, published in PUBLISHED.items():
        row[f"{name} least time"] = 100 * (found[name]["least_time"] / published[0] - 1)
        row[f"{name} tokens/s/kW"] = 100 * (found[name]["rate"] / published[1] - 1)
    row["watts"] = max(f["highest_phase"] for f in found.values())
    return row


def changes(numbers):
    """(key, text of the end, change) for both ends of every range that is one. Limits of temperature are left out: they
    must stay in order, and steps are priced at 60 C anyway."""
    for key, number in numbers.items():
        if key.endswith("_temperature") or "range" not in number or number["range"][0] == number["range"][1]:
            continue
        for end in number["range"]:
            if end != number["value"]:
                shown = end if end == "inf" else f"{end / number['scale']:.4g} {number['unit']}".strip()
                yield key, shown, {"numbers": {key: end}}
    for key, end in (("w4a8", "fp4"), ("w4a16", "fp8"), ("w4a16", "fp4")):
        yield "rate_" + key, end, {"rates": {key: end}}


def print_figures(found):
    print("| figure | published | here | error % | target % |")
    print("|---|---|---|---|---|")
    for name, (seconds, rate) in PUBLISHED.items():
        f = found[name]
        print(f"| {name}, least time between tokens, ms | {seconds * 1e3:.2f} | {f['least_time'] * 1e3:.3f} | "
              f"{100 * (f['least_time'] / seconds - 1):+.1f} | {TIME_TARGET:.0f} |")
        print(f"| {name}, tokens/s/kW of TDP, {TYPICAL} running | {rate:,.0f} | {f['rate']:,.0f} | "
              f"{100 * (f['rate'] / rate - 1):+.1f} | {RATE_TARGET:.0f} |")
    print("\nWatts a chip, mean over the step (target: at most 550):")
    for name, f in found.items():
        rates = ", ".join(f"{r}: {v:,.0f}" for r, v in f["rates"].items())
        print(f"  {name}: " + ", ".join(f"{k}: {v:.0f}" for k, v in f["watts"].items())
              + f"; highest phase {f['highest_phase']:.0f}\n    tokens/s/kW by sequences running: {rates}")


def print_bands(base, rows):
    """One row a number: what its two ends do, widest first."""
    columns = list(base)
    bands = {}
    for key, shown, row in rows:
        bands.setdefault(key, []).append((shown, row))
    spread = lambda key: max(abs(row[c] - base[c]) for _, row in bands[key] for c in columns if c != "watts")  # noqa: E731
    print("\nEach assumed or derived number at the ends of its range, one at a time: errors in %, and the highest watts of "
          "any phase.\n")
    print("| number | at | " + " | ".join(columns) + " |")
    print("|---|---|" + "---|" * len(columns))
    print("| (none) | | " + " | ".join(f"{base[c]:+.1f}" if c != "watts" else f"{base[c]:.0f}" for c in columns) + " |")
    silent = []
    for key in sorted(bands, key=spread, reverse=True):
        if spread(key) < 0.5 and max(abs(row["watts"] - base["watts"]) for _, row in bands[key]) < 2:
            silent.append(key)
            continue
        for shown, row in bands[key]:
            cells = [f"{row[c]:+.1f}" if c != "watts" else f"{row[c]:.0f}" for c in columns]
            print(f"| {key} | {shown} | " + " | ".join(cells) + " |")
    print("\nWithout effect here (below 0.5 % and 2 W): " + ", ".join(silent) + ".")
    for column in columns:
        values = [row[column] for _, _, row in rows]
        print(f"  band of {column}: {min(values):+.1f} to {max(values):+.1f}" + (" W" if column == "watts" else " %"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--price-steps", help="the program; default: the one of a build under build/")
    parser.add_argument("--json", help="write the figures here")
    args = parser.parse_args()
    program = step_pricing.find_program(args.price_steps)
    numbers = step_pricing.price(program, [{"profile": PROFILE, "list": True}])[0]
    ends = list(changes(numbers))
    count = len(questions({}))
    answers = step_pricing.price(program, questions({}) + [q for _, _, change in ends for q in questions(change)])
    found = figures(answers[:count])
    print_figures(found)
    base = deviations(found)
    rows = [(key, shown, deviations(figures(answers[(i + 1) * count:(i + 2) * count])))
            for i, (key, shown, _) in enumerate(ends)]
    print_bands(base, rows)
    if args.json:
        result = {"errors": base, "figures": found, "highest_watts_mean": max(
            w for f in found.values() for w in f["watts"].values())}
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
