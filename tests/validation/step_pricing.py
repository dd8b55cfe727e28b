"""Asks the product for prices of steps: runs `price_steps` (price_steps.cc) once over many questions."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def find_program(given):
    """The program at `given`, or where builds usually leave it."""
    places = [given] if given else [os.environ.get("SCOVILLE_PRICE_STEPS", "")] + sorted(
        str(p) for p in ROOT.glob("build/**/tests/validation/price_steps"))
    for place in places:
        if place and os.access(place, os.X_OK):
            return place
    sys.exit("price_steps not found: build the target `price_steps` and name it with --price-steps PATH")


def profile(name):
    """The profile's file in this tree, so that an edit counts at once and not only after a build."""
    return str(ROOT / "deploy" / "profiles" / f"{name}.yaml")


def price(program, questions):
    """The answer to each question (see price_steps.cc), in order."""
    text = "".join(json.dumps(q) + "\n" for q in questions)
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        number = int(done.stderr.split(":")[0].split()[-1]) if done.stderr.startswith("line ") else 0
        sys.exit(f"price_steps: {done.stderr.strip()}" + (f"\n  {questions[number - 1]}" if number else ""))
    return [json.loads(line) for line in done.stdout.splitlines()]
