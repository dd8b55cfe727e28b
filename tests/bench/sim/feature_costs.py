#!/usr/bin/env python3
"""What a feature costs or gains per output token, in host time and in emulated time, against the same run without it.

The functional executor computes real tokens of the given model on one thread, in the simulator. Runs of a pair
alternate, so that a busy machine hurts both; medians are told. One run compiles constraints before it starts, which is
told apart from its steps.

    feature_costs.py build/release/bin/scoville-sim MODEL.gguf [--runs 5] [--requests 24]
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile

SCHEMA = json.dumps({
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 40, "maxLength": 60},
        "year": {"type": "integer", "minimum": 1900, "maximum": 2100},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 6, "maxItems": 6},
        "sold": {"type": "boolean"},
    },
    "required": ["name", "year", "tags", "sold"],
})
QUESTIONS = ["a film about rain", "a book on heat", "a song of the sea", "a street in the north"]
PHRASE = "The quick brown fox jumps over the lazy dog. "


def scenario(model, requests, constrained=False, drafts=0, cache=True, quoting=False):
    lines = [
        "name: feature costs", f"model: {json.dumps(model)}",
        f"pool: {{devices: 1, executor: functional, prefix_cache: {str(cache).lower()}}}",
        f"scheduler: {{max_drafts: {drafts}}}", "requests:",
    ]
    for i in range(requests):
        question = QUESTIONS[i % len(QUESTIONS)]
        chat = f"Repeat this text word for word: {PHRASE * 3}" if quoting else f"Describe {question}, number {i}."
        line = f"  - {{chat: {json.dumps(chat)}, max_tokens: 64, seed: {i}, temperature: {0 if quoting else 0.8}"
        if constrained:
            line += f", json_schema: {json.dumps(SCHEMA)}"
        else:
            line += ", ignore_eos: true"
        lines.append(line + "}")
    return "\n".join(lines) + "\n"


def run(program, text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        out = subprocess.run([program, "run", file.name, "--json"], capture_output=True, text=True, check=False)
    if out.returncode != 0:
        sys.exit(f"{program}: {out.stderr.strip()}")
    report = json.loads(out.stdout)
    tokens = report["tokens"]["output"]
    return report["host_seconds"] * 1e6 / tokens, report["virtual_seconds"] * 1e6 / tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=24)
    args = parser.parse_args()
    pairs = [
        ("JSON Schema", {"constrained": True}, {}),
        ("guesses, text that is quoted", {"drafts": 6, "quoting": True}, {"quoting": True}),
        ("guesses, text that is not", {"drafts": 6}, {}),
        ("prefix cache, nothing shared", {}, {"cache": False}),
    ]
    print(f"microseconds per output token, medians of {args.runs} runs, {args.requests} requests at once")
    print(f"{'feature':32} {'host with':>10} {'without':>10} {'ratio':>7} {'emulated with':>14} {'without':>10} {'ratio':>7}")
    for name, given, base in pairs:
        on, off = [], []
        for _ in range(args.runs):
            on.append(run(args.program, scenario(args.model, args.requests, **given)))
            off.append(run(args.program, scenario(args.model, args.requests, **base)))
        a, b = statistics.median(r[0] for r in on), statistics.median(r[0] for r in off)
        c, d = on[0][1], off[0][1]  # emulated time is the same in each run
        print(f"{name:32} {a:10.1f} {b:10.1f} {a / b:7.3f} {c:14.2f} {d:10.2f} {c / d:7.3f}")


if __name__ == "__main__":
    main()
