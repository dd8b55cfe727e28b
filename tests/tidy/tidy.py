#!/usr/bin/env python3
"""Reads the repository and says where it breaks its own rules: `path:line: rule: what`. Exit code 1 if it does.

Standard library only. The rules are functions in rules.py and edges.py; tidy_selftest.py shows that each can fail.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import edges
import rules
from repository import Repository

HERE = pathlib.Path(__file__).resolve().parent


def read_list(path):
    lines = (line.split("#", 1)[0].strip() for line in path.read_text(encoding="utf-8").split("\n"))
    return [line for line in lines if line]


def check(root, tables=HERE):
    repository = Repository(root)
    table = edges.EdgeTable((tables / "edges.txt").read_text(encoding="utf-8"))
    real_time_files = read_list(tables / "real_time_files.txt")
    yield from edges.check_includes(repository, table)
    yield from edges.check_targets(repository, table)
    yield from rules.check_clocks(repository, real_time_files)
    for rule in (rules.check_threads, rules.check_banned, rules.check_sizes, rules.check_headers,
                 rules.check_own_header_first, rules.check_registered, rules.check_reachable,
                 rules.check_folder_size):
        yield from rule(repository)


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent
    findings = list(check(root))
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
