#!/usr/bin/env python3
"""Compiles each header alone, unless some source includes it first: then the build has shown already that it stands alone.

usage: headers_alone.py COMPILER [FLAG...]    (flags: the include paths)
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from repository import Repository

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def first_include(text):
    match = re.search(r'^#include\s+["<]([^">]+)[">]', text, re.MULTILINE)
    return match.group(1) if match else None


def headers_to_compile(repository):
    """Headers that no source proves, without those that are included once per SIMD target."""
    proven = {first_include(repository.text(path)) for path in repository.cxx() if path.endswith(".cc")}
    return [path for path in repository.headers() if path not in proven and not path.endswith("-inl.h")]


def compile_alone(path, command, root):
    # Twice: the guard must hold as well.
    source = f'#include "{path}"\n#include "{path}"\n'
    done = subprocess.run([*command, "-std=c++20", "-fsyntax-only", "-x", "c++", "-I", str(root), "-"], input=source,
                          capture_output=True, text=True, check=False)
    return path, done.returncode, done.stderr


def check(root, command):
    """Yields (header, compiler's words) for each that does not compile."""
    paths = headers_to_compile(Repository(root))
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for path, code, words in pool.map(lambda path: compile_alone(path, command, root), paths):
            if code != 0:
                yield path, words


def self_test(command):
    """A header that lacks an include must be found, one that a source includes first must not be compiled."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "a tree")
        (root / "base").mkdir(parents=True)
        (root / "base/bad.h").write_text("inline std::string F() { return {}; }\n")
        (root / "base/good.h").write_text("#ifndef G_\n#define G_\n#include <string>\nstruct S { std::string s; };\n#endif\n")
        (root / "base/proven.h").write_text("std::string F();\n")
        (root / "base/proven.cc").write_text('#include "base/proven.h"\n')
        found = [path for path, _ in check(root, command)]
    if found != ["base/bad.h"]:
        print(f"self-test: expected base/bad.h alone to fail, found {found}")
    return found == ["base/bad.h"]


def main():
    command = sys.argv[1:]
    if not command:
        sys.exit(__doc__)
    if not self_test(command):
        return 1
    failed = list(check(ROOT, command))
    for path, words in failed:
        print(f"{path}:1: self-contained: does not compile alone\n{words}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
