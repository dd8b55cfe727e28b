"""The rules that look at one file at a time, and those about how files are named, sized and registered."""

import re

from cpp_text import code_only, functions
from repository import Finding, folder_of, without_cmake_comments

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
MAX_COLUMNS = 100
MAX_UNITS = 14  # headers of one folder
MAX_SOURCES = 20  # .cc files of one folder: several may stand behind one header

# Programs, whose job it is to print, and the last words of a failed CHECK; all other files are libraries.
PRINTING = ("client/cli/", "client/terminal/", "server/main/", "server/log/", "sim/cli/", "sim/main", "tests/",
            "base/status_macros.cc")
REAL_TIME_FOLDERS = ("server/", "client/", "sim/main/")
THREAD_FOLDERS = ("server/", "client/", "tests/")

CLOCKS = re.compile(
    r"\b(?:steady_clock|system_clock|high_resolution_clock|clock_gettime|gettimeofday|timespec_get|sleep_for"
    r"|sleep_until|usleep|nanosleep|absl::Now|absl::SleepFor|GetCurrentTimeNanos|gpr_now|localtime(?:_r)?|gmtime(?:_r)?)\b"
    r"|(?<![\w.>:])(?:std::)?time\s*\(\s*(?:NULL|nullptr|0|&\w+)?\s*\)"
    r"|(?<![\w.>:])(?:::)?sleep\s*\(|__rdtsc")
THREADS = re.compile(
    r"\bstd::(?:thread|jthread|mutex|shared_mutex|recursive_mutex|timed_mutex|condition_variable(?:_any)?|atomic\w*"
    r"|lock_guard|unique_lock|scoped_lock|call_once|once_flag|async|future|promise|latch|barrier"
    r"|counting_semaphore|binary_semaphore)\b"
    r"|\babsl::(?:Mutex|MutexLock|CondVar|Notification|BlockingCounter|Barrier|call_once)\b|\bpthread_\w+|\bthread_local\b")
BANNED = (
    (re.compile(r"(?<![\w.>])(?:std::)?s?rand\s*\("), "rand and srand: use base/random.h"),
    (re.compile(r"\brandom_device\b"), "random_device: seeds come from the configuration or the request"),
    (re.compile(r"\bstd::(?:mt19937\w*|default_random_engine|\w+_distribution)\b"),
     "the standard library's random numbers differ between implementations: use base/random.h"),
    (re.compile(r"\babsl::Hash(?:Of)?\b"), "absl::Hash is salted per process: use base/stable_hash.h"),
    (re.compile(r"\bstd::hash\b"), "std::hash is not stable: use base/stable_hash.h"),
    (re.compile(r"\busing\s+namespace\b"), "using namespace"),
    (re.compile(r"\bthrow\b"), "our code throws no exceptions: return absl::Status"),
    (re.compile(r"\bassert\s*\("), "assert is off in release: use CHECK of base/status_macros.h"),
)
PRINTS = re.compile(r"\bstd::(?:cout|cerr|clog)\b|(?<![\w.>:])(?:std::)?(?:printf|puts|putchar)\s*\("
                      r"|\bf(?:printf|puts)\s*\(\s*std(?:out|err)\b")


def _matches(repository, path, pattern):
    for number, line in enumerate(code_only(repository.text(path)).split("\n"), 1):
        if line.lstrip().startswith("#"):
            continue  # includes are the business of edges.txt
        match = pattern.search(line)
        if match:
            yield number, match.group(0).strip()


def check_clocks(repository, real_time_files):
    for path in real_time_files:
        if not path.startswith(REAL_TIME_FOLDERS):
            yield Finding(path, 1, "clock", "real_time_files.txt may name files of server/, client/ and sim/main/ only")
        elif path not in repository.files:
            yield Finding(path, 1, "clock", "named in real_time_files.txt, does not exist")
    for path in repository.cxx():
        if path.startswith("tests/") or path in real_time_files:
            continue
        for number, found in _matches(repository, path, CLOCKS):
            yield Finding(path, number, "clock",
                          f"'{found}' reads real time; only the files in tests/tidy/real_time_files.txt may")


def check_threads(repository):
    for path in repository.cxx():
        if not path.startswith(THREAD_FOLDERS):
            for number, found in _matches(repository, path, THREADS):
                yield Finding(path, number, "thread", f"'{found}': the core is single-threaded")


def check_banned(repository):
    for path in repository.cxx():
        for pattern, why in BANNED:
            for number, _ in _matches(repository, path, pattern):
                yield Finding(path, number, "banned", why)
        if not path.startswith(PRINTING):
            for number, found in _matches(repository, path, PRINTS):
                yield Finding(path, number, "banned", f"'{found}': a library does not print")


def check_sizes(repository):
    for path in repository.files:
        if not path.endswith((".h", ".cc", ".py", ".proto")):
            continue
        lines = repository.lines(path)
        count = len(lines) - (lines[-1] == "")
        if count > MAX_FILE_LINES:
            yield Finding(path, count, "file-size", f"{count} lines, at most {MAX_FILE_LINES}")
        if path.endswith(".py"):
            continue
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS and not re.match(r'\s*(?:#include|#ifndef|#define|#endif)', line):
                yield Finding(path, number, "line-length", f"{len(line)} columns, at most {MAX_COLUMNS}")
    for path in repository.cxx():
        for start, length in functions(repository.text(path)):
            if length > MAX_FUNCTION_LINES:
                yield Finding(path, start, "function-size",
                              f"a function of {length} lines, at most {MAX_FUNCTION_LINES}")


def guard_of(path):
    return "SCOVILLE_" + re.sub(r"[^A-Za-z0-9]", "_", path).upper() + "_"


def check_headers(repository):
    for path in repository.headers():
        lines = repository.lines(path)
        if not lines[0].startswith("//"):
            yield Finding(path, 1, "header-comment", "a header opens with a comment: what it is for")
        if path.endswith("-inl.h"):
            continue  # included once per SIMD target: guarded in Highway's way
        guard, code = guard_of(path), code_only(repository.text(path))
        wanted = rf"\A\s*#ifndef {guard}\n\s*#define {guard}\n.*#endif[^\n]*\s*\Z"
        if not re.match(wanted, re.sub(r"[ \t]+\n", "\n", code), re.DOTALL):
            yield Finding(path, 1, "header-guard", f"the guard is not {guard}, around the whole file")
        elif not repository.text(path).rstrip().endswith(f"#endif  // {guard}"):
            yield Finding(path, len(lines), "header-guard", f"the last line is not '#endif  // {guard}'")


def check_own_header_first(repository):
    """A source includes its own header first: so the build itself shows that the header stands alone."""
    include = re.compile(r'^#include\s+["<]([^">]+)[">]', re.MULTILINE)
    for path in repository.cxx():
        own = path.removesuffix(".cc") + ".h"
        if not path.endswith(".cc") or own not in repository.files:
            continue
        if "foreach_target.h" in repository.text(path):
            continue  # compiled once per SIMD target, with includes before its own
        first = include.search(code_keeping_includes(repository.text(path)))
        if first is None or first.group(1) != own:
            yield Finding(path, 1, "own-header-first", f'the first include is not "{own}"')


def code_keeping_includes(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def check_registered(repository):
    """Every source is named in a CMakeLists.txt, of its folder or of one above it."""
    words = {}
    for path in repository.cmake_lists():
        words[folder_of(path)] = set(re.findall(r"[\w./${}-]+", without_cmake_comments(repository.text(path))))
    for path in repository.cxx():
        parts, named = path.split("/"), False
        for depth in range(len(parts) - 1, 0, -1):
            folder, rest = "/".join(parts[:depth]) + "/", "/".join(parts[depth:])
            have = words.get(folder, set())
            stem = re.sub(r"_fuzzer\.cc$", "", rest)
            if rest in have or (stem != rest and stem in have):
                named = True
                break
        if not named:
            kind = "test" if path.endswith("_test.cc") else "source"
            yield Finding(path, 1, "unregistered", f"no CMakeLists.txt names this {kind}")


def check_reachable(repository):
    """A CMakeLists.txt that no other one adds builds nothing."""
    root = (repository.root / "CMakeLists.txt")
    texts = {"": root.read_text(encoding="utf-8") if root.is_file() else ""}
    texts.update({folder_of(path): repository.text(path) for path in repository.cmake_lists()})
    added = set()
    for folder, text in texts.items():
        for name in re.findall(r"\badd_subdirectory\s*\(\s*([\w./-]+)", without_cmake_comments(text)):
            added.add(f"{folder}{name}/")
    for path in repository.cmake_lists():
        if folder_of(path) not in added:
            yield Finding(path, 1, "unregistered", "no add_subdirectory names this folder")


def check_folder_size(repository):
    headers, sources = {}, {}
    for path in repository.cxx():
        if not path.startswith("tests/"):
            kind = headers if path.endswith(".h") else sources
            kind[folder_of(path)] = kind.get(folder_of(path), 0) + 1
    for counts, limit, what in ((headers, MAX_UNITS, "headers"), (sources, MAX_SOURCES, "sources")):
        for folder, count in sorted(counts.items()):
            if count > limit:
                yield Finding(folder, 1, "folder-size", f"{count} {what}, at most {limit}: it holds two ideas")
