"""Which folder may include which: the table of edges.txt, held against includes and against CMake targets."""

import re

from repository import Finding, folder_of, targets

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


class EdgeTable:
    def __init__(self, text):
        self.allowed, self.foreign = {}, {}
        for number, line in enumerate(text.split("\n"), 1):
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            name, colon, rest = line.partition(":")
            if not colon:
                raise ValueError(f"edges.txt:{number}: no colon in '{line}'")
            if name.startswith("foreign "):
                self.foreign[name.removeprefix("foreign ").strip()] = rest.split()
            else:
                self.allowed[name.strip()] = rest.split()

    def _rule_for(self, path):
        holders = [folder for folder in self.allowed if path.startswith(folder)]
        return max(holders, key=len) if holders else None

    def may_include(self, path, included):
        rule = self._rule_for(path)
        if rule is None:
            return False
        if path.split("/")[0] == included.split("/")[0] and not self._is_apart(path, included):
            return True
        return any(included == entry or (entry.endswith("/") and included.startswith(entry))
                   for entry in self.allowed[rule])

    def _is_apart(self, path, included):
        # client/workload/ is shared with the simulator: the rest of client/ may use it, it may not use the rest.
        return path.startswith("client/workload/") and not included.startswith("client/workload/")

    def may_link(self, folder, other):
        """Whether a target in `folder` may depend on one in `other`: if it may include something that lies there."""
        rule = self._rule_for(folder)
        if rule is None:
            return False
        if self.may_include(folder, other):
            return True
        return any(folder_of(entry) == other for entry in self.allowed[rule])

    def foreign_allowed(self, path, header):
        for prefix, folders in self.foreign.items():
            matches = header == prefix or ("/" in prefix or prefix == "grpc") and header.startswith(prefix)
            if matches and not path.startswith(tuple(folders)):
                return False
        return True


def resolve(repository, included):
    """What an include in quotes or angle brackets names in this project, or None."""
    if included.startswith("scoville/"):
        return "proto/" + included  # generated from proto/scoville/v1/*.proto
    if included.split("/")[0] in ("base", "model", "device", "scheduler", "server", "sim", "client", "tests"):
        return included if "/" in included else None
    return None


def check_includes(repository, table):
    for path in repository.cxx():
        for number, line in enumerate(repository.lines(path), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, angled = match.groups()
            included = quoted or angled
            own = resolve(repository, included)
            if own is None:
                if not table.foreign_allowed(path, included):
                    yield Finding(path, number, "foreign-include", f"{included} may not be seen here")
                elif quoted and "/" not in included:
                    yield Finding(path, number, "include-form", f'"{included}": write the path from the root')
                elif quoted and not is_foreign_quoted(included):
                    yield Finding(path, number, "include-form", f'"{included}" is no file of this project')
            elif own.startswith("proto/"):
                if not table.may_include(path, own):
                    yield Finding(path, number, "include-edge", f"{folder_of(path)} may not include {included}")
            elif own not in repository.files:
                yield Finding(path, number, "include-form", f'"{included}" does not exist')
            elif not table.may_include(path, own):
                yield Finding(path, number, "include-edge", f"{folder_of(path)} may not include {included}")


def is_foreign_quoted(included):
    return included.startswith(("absl/", "benchmark/", "CLI/", "google/", "grpc/", "grpcpp/", "hwy/", "nlohmann/"))


def check_targets(repository, table):
    """The same arrows between the static libraries."""
    found = list(targets(repository))
    home = {name: folder_of(path) for path, _, name, _ in found}
    for path, line, name, needs in found:
        folder = folder_of(path)
        for need_line, need in needs:
            other = home.get(need)
            if need in ("scoville_proto",):
                other = "proto/"
            if other is None:
                if need.startswith("scoville_") and need not in ("scoville_flags",):
                    yield Finding(path, need_line, "target-edge", f"{name} depends on {need}, which nobody declares")
            elif other != folder and not table.may_link(folder, other):
                yield Finding(path, need_line, "target-edge",
                              f"{name} in {folder} may not depend on {need} in {other}")
