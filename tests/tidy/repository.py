"""The files of a tree that the rules read, and what its CMakeLists.txt files say."""

import os
import pathlib
import re

CODE_FOLDERS = ("base", "model", "device", "scheduler", "proto", "server", "sim", "client", "tests")


class Finding:
    """One breach of a rule: where, and what."""

    def __init__(self, path, line, rule, text):
        self.path, self.line, self.rule, self.text = path, line, rule, text

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


class Repository:
    """Reads each file once. Paths are relative to the root, with slashes."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self._texts = {}
        self.files = sorted(self._walk())

    def _walk(self):
        for top in CODE_FOLDERS:
            for folder, folders, names in os.walk(self.root / top):
                folders[:] = [name for name in folders if name not in ("__pycache__", "samples")]
                for name in names:
                    yield (pathlib.Path(folder) / name).relative_to(self.root).as_posix()

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def lines(self, path):
        return self.text(path).split("\n")

    def cxx(self):
        return [path for path in self.files if path.endswith((".h", ".cc"))]

    def headers(self):
        return [path for path in self.files if path.endswith(".h")]

    def cmake_lists(self):
        return [path for path in self.files if path.endswith("CMakeLists.txt")]


def folder_of(path):
    return path.rsplit("/", 1)[0] + "/" if "/" in path else ""


def without_cmake_comments(text):
    return re.sub(r"#[^\n]*", lambda match: " " * len(match.group(0)), text)


def targets(repository):
    """Yields (file, line, target, [(line, dependency)]) of each scoville_library, _binary, _test and _fuzzer."""
    call = re.compile(r"\b(scoville_(?:library|binary|test|fuzzer))\s*\(([^()]*)\)")
    for path in repository.cmake_lists():
        text = without_cmake_comments(repository.text(path))
        for match in call.finditer(text):
            words = list(re.finditer(r"[^\s]+", match.group(2)))
            if not words or "${" in words[0].group(0):
                continue
            mode, needs = None, []
            for word in words[1:]:
                name = word.group(0)
                if name in ("SRCS", "DEPS", "LABELS", "TIMEOUT", "MUTATIONS"):
                    mode = name
                elif mode == "DEPS":
                    needs.append((line_at(text, match.start(2) + word.start()), name))
            yield path, line_at(text, match.start()), words[0].group(0), needs


def line_at(text, offset):
    return text.count("\n", 0, offset) + 1
