#!/usr/bin/env python3
"""A real Prometheus scrapes a working daemon: /metrics passes promtool, and every panel and rule yields numbers.

usage: live_test.py SCOVILLED SCOVILLE. Needs Debian's prometheus (with promtool) and python3-yaml. Everything listens on
loopback, on free ports, and ends with the test.
"""

import json
import math
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOAD_SECONDS = 16


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def wait_for(url, limit=30):
    end = time.monotonic() + limit
    while True:
        try:
            return get(url)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def start(folder, name, *command):
    log = open(pathlib.Path(folder, name + ".log"), "wb")
    return subprocess.Popen([str(word) for word in command], stdout=log, stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL, cwd=folder)


def prometheus_config(folder, http):
    """Ours, with this daemon's address and shorter intervals."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    jobs = [job for job in config["scrape_configs"] if job["job_name"] == "scoville"]
    jobs[0]["static_configs"][0]["targets"] = [f"127.0.0.1:{http}"]
    config["scrape_configs"] = jobs
    config["rule_files"] = [str(ROOT / "deploy/prometheus/rules.yml")]
    path = pathlib.Path(folder, "prometheus.yml")
    path.write_text(yaml.safe_dump(config))
    return path


def make_load(scoville, grpc):
    """Requests one after another, some at once, for a while."""
    end = time.monotonic() + LOAD_SECONDS
    while time.monotonic() < end:
        calls = [subprocess.Popen([scoville, "run", "--address", f"127.0.0.1:{grpc}", "--max-tokens", "40", "Hello"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(4)]
        for call in calls:
            if call.wait(timeout=60) != 0:
                raise RuntimeError(f"a request failed with exit code {call.returncode}")
        time.sleep(0.2)


def query(port, expression):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    return json.loads(get(url))["data"]["result"]


def has_numbers(result):
    return any(not math.isnan(float(series["value"][1])) for series in result)


def empty_queries(port):
    """The panels and recording rules that yield no series, or only NaN."""
    dashboard = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "10s")
            expression = re.sub(r'"\$(?:job|instance|device)"', '".*"', expression)
            if not has_numbers(query(port, expression)):
                yield f"panel '{panel['title']}': {expression}"
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            if "record" in rule and not has_numbers(query(port, rule["record"])):
                yield f"rule {rule['record']}"
            if "alert" in rule and query(port, f'ALERTS{{alertname="{rule["alert"]}"}}'):
                yield f"alert {rule['alert']} is on while all is well"


def check_metrics(http):
    """promtool's opinion of the native part; it rejects the names of the vLLM-compatible one."""
    text = get(f"http://127.0.0.1:{http}/metrics")
    native = "".join(line + "\n" for line in text.split("\n") if line and "vllm:" not in line)
    done = subprocess.run(["promtool", "check", "metrics"], input=native, capture_output=True, text=True, check=False)
    words = done.stdout + done.stderr
    yield from (f"promtool check metrics: {line}" for line in words.strip().split("\n") if line)
    if done.returncode != 0 and not words.strip():
        yield f"promtool check metrics: exit code {done.returncode}"
    match = re.search(r"^scoville_energy_unattributed_joules\{[^}]*\} (\S+)$", text, re.MULTILINE)
    if match is None or float(match.group(1)) != 0:
        yield f"energy unattributed: {match.group(0) if match else 'no series'}"


def main():
    scovilled, scoville = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
    grpc, http, prometheus = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        processes = [start(folder, "scovilled", scovilled, "--executor", "synthetic", "--grpc-listen",
                           f"127.0.0.1:{grpc}", "--http-listen", f"127.0.0.1:{http}", "--set", "drain.lameduck=0s")]
        try:
            wait_for(f"http://127.0.0.1:{http}/readyz")
            processes.append(start(folder, "prometheus", "prometheus", "--config.file",
                                   prometheus_config(folder, http), "--storage.tsdb.path", folder + "/data",
                                   "--web.listen-address", f"127.0.0.1:{prometheus}"))
            wait_for(f"http://127.0.0.1:{prometheus}/-/ready")
            make_load(scoville, grpc)
            problems = list(empty_queries(prometheus)) + list(check_metrics(http))
        finally:
            for process in processes:
                process.terminate()
            codes = [process.wait(timeout=60) for process in processes]
            logs = {path.name: path.read_text(errors="replace") for path in pathlib.Path(folder).glob("*.log")}
    if codes[0] != 0:
        problems.append(f"the daemon ended with exit code {codes[0]}")
    for problem in problems:
        print(problem)
    if problems:
        print("\n".join(f"--- {name}\n{text[-2000:]}" for name, text in logs.items()))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
