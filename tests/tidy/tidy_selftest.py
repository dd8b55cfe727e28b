#!/usr/bin/env python3
"""Shows that each rule of the tidy test fails on a bad sample, and stays silent on a good one."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cpp_text
import edges
import tidy

HERE = pathlib.Path(__file__).resolve().parent


def header(path, body="int F();\n"):
    guard = "SCOVILLE_" + path.replace("/", "_").replace(".", "_").upper() + "_"
    return f"// What it is for.\n#ifndef {guard}\n#define {guard}\n\n{body}\n#endif  // {guard}\n"


GOOD = {
    "CMakeLists.txt": "add_subdirectory(base)\nadd_subdirectory(device)\nadd_subdirectory(server)\n",
    "base/CMakeLists.txt": "scoville_library(scoville_base SRCS clock.cc clock.h)\n",
    "base/clock.h": header("base/clock.h"),
    "base/clock.cc": '#include "base/clock.h"\n\nint F() {\n  return 1;  // rand() in a comment is fine\n}\n',
    "device/CMakeLists.txt": "scoville_library(scoville_device SRCS device.h DEPS scoville_base)\n",
    "device/device.h": header("device/device.h", '#include "base/clock.h"\n'),
    "server/CMakeLists.txt": "scoville_library(scoville_server SRCS daemon.h DEPS scoville_device)\n",
    "server/daemon.h": header("server/daemon.h", "#include <mutex>\nstd::mutex* M();\n"),
}


def findings(**changes):
    """Checks a small good tree with some files replaced (`None` removes one), and returns the rules' words."""
    files = dict(GOOD)
    for path, text in changes.items():
        files[path] = text
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "a tree")
        tables = pathlib.Path(folder, "tables")
        tables.mkdir()
        (tables / "edges.txt").write_text((HERE / "edges.txt").read_text())
        (tables / "real_time_files.txt").write_text(files.pop("real_time_files.txt", ""))
        for path, text in files.items():
            if text is not None:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
        return [(finding.rule, finding.path, finding.line) for finding in tidy.check(root, tables)]


def changed(path, text):
    return findings(**{path: text})


def source(body):
    return '#include "base/clock.h"\n' + body


class TidyTest(unittest.TestCase):
    def test_good_tree_has_no_finding(self):
        self.assertEqual(findings(), [])

    def assert_only(self, found, rule, path, line):
        self.assertEqual(found, [(rule, path, line)])

    def test_include_edges(self):
        self.assert_only(changed("base/clock.h", header("base/clock.h", '#include "device/device.h"\n')),
                         "include-edge", "base/clock.h", 5)
        self.assert_only(changed("device/device.h", header("device/device.h", '#include "scoville/v1/pool.pb.h"\n')),
                         "include-edge", "device/device.h", 5)
        self.assert_only(changed("device/device.h", header("device/device.h", "#include <grpcpp/grpcpp.h>\n")),
                         "foreign-include", "device/device.h", 5)
        self.assert_only(changed("device/device.h", header("device/device.h", "#include <mutex>\n")),
                         "foreign-include", "device/device.h", 5)
        self.assert_only(changed("device/device.h", header("device/device.h", '#include "clock.h"\n')),
                         "include-form", "device/device.h", 5)
        self.assert_only(changed("device/device.h", header("device/device.h", '#include "base/gone.h"\n')),
                         "include-form", "device/device.h", 5)

    def test_edges_inside_the_table(self):
        table = edges.EdgeTable((HERE / "edges.txt").read_text())
        for path, included, allowed in (
                ("scheduler/planner.h", "model/model_config.h", True),
                ("scheduler/planner.h", "model/text/tokenizer.h", True),
                ("scheduler/planner.h", "model/compute/gemm.h", False),
                ("scheduler/planner.h", "model/gguf/gguf_file.h", False),
                ("device/physics/step_cost.h", "model/model_config.h", True),
                ("device/physics/step_cost.h", "model/text/tokenizer.h", False),
                ("device/physics/step_cost.h", "device/kv/block_pool.h", True),
                ("client/cli/main.cc", "client/workload/arrivals.h", True),
                ("client/workload/arrivals.h", "client/library/client.h", False),
                ("sim/replay.h", "client/workload/arrivals.h", True),
                ("sim/replay.h", "client/library/client.h", False),
                ("sim/replay.h", "server/engine/engine.h", False),
                ("server/engine/engine.h", "sim/replay.h", False),
                ("model/text/tokenizer.h", "device/device.h", False)):
            self.assertEqual(table.may_include(path, included), allowed, f"{path} -> {included}")

    def test_target_edges(self):
        lists = "scoville_library(scoville_base SRCS clock.cc clock.h\n  DEPS scoville_device)\n"
        self.assert_only(changed("base/CMakeLists.txt", lists), "target-edge", "base/CMakeLists.txt", 2)
        lists = "scoville_library(scoville_base SRCS clock.cc clock.h DEPS scoville_bass)\n"
        self.assert_only(changed("base/CMakeLists.txt", lists), "target-edge", "base/CMakeLists.txt", 1)

    def test_clocks(self):
        for code in ("auto t = std::chrono::steady_clock::now();", "auto t = absl::Now();", "auto t = time(nullptr);",
                     "std::this_thread::sleep_for(d);", "clock_gettime(CLOCK_MONOTONIC, &t);", "usleep(3);"):
            self.assert_only(changed("base/clock.cc", source(code + "\n")), "clock", "base/clock.cc", 2)
        for code in ("int64_t time(int64_t x);", "auto t = loop->time();", "Duration time{0};", "// absl::Now()"):
            self.assertEqual(changed("base/clock.cc", source(code + "\n")), [], code)

    def test_clocks_in_named_files(self):
        daemon = header("server/daemon.h", "inline auto T() { return absl::Now(); }\n")
        self.assert_only(changed("server/daemon.h", daemon), "clock", "server/daemon.h", 5)
        self.assertEqual(findings(**{"server/daemon.h": daemon, "real_time_files.txt": "server/daemon.h  # why\n"}), [])
        self.assert_only(changed("real_time_files.txt", "base/clock.cc\n"), "clock", "base/clock.cc", 1)
        self.assert_only(changed("real_time_files.txt", "server/gone.cc\n"), "clock", "server/gone.cc", 1)

    def test_threads(self):
        for code in ("std::mutex m;", "std::atomic<int> a;", "absl::Mutex m;", "thread_local int x;",
                     "std::thread t(f);"):
            self.assert_only(changed("base/clock.cc", source(code + "\n")), "thread", "base/clock.cc", 2)

    def test_banned_names(self):
        for code in ("int x = rand();", "srand(1);", "std::random_device d;", "std::mt19937 g;",
                     "size_t h = absl::HashOf(x);", "std::hash<int> h;", "using namespace std;", "throw 1;",
                     "assert(x);", 'std::cout << "x";', 'printf("x");', 'fprintf(stderr, "x");'):
            self.assert_only(changed("base/clock.cc", source(code + "\n")), "banned", "base/clock.cc", 2)
        for code in ('const char* s = "using namespace";', "int operand(int x);", "static_assert(true);",
                     "auto s = R\"x(throw rand())x\";", "int n = 1'000; char c = 'a';", "snprintf(b, n, f);"):
            self.assertEqual(changed("base/clock.cc", source(code + "\n")), [], code)

    def test_sizes(self):
        self.assert_only(changed("base/clock.cc", source("\n" * 500)), "file-size", "base/clock.cc", 501)
        self.assert_only(changed("base/clock.cc", source("// " + "x" * 98 + "\n")), "line-length", "base/clock.cc", 2)
        self.assertEqual(changed("base/clock.cc", source("// " + "é" * 97 + "\n")), [])
        body = "int F() {\n" + "  G();\n" * 69 + "}\n"
        self.assert_only(changed("base/clock.cc", source("\n" + body)), "function-size", "base/clock.cc", 3)
        self.assertEqual(changed("base/clock.cc", source("\n" + body.replace("  G();\n", "", 1))), [])

    def test_folder_size(self):
        files = {f"base/u{i}.h": header(f"base/u{i}.h") for i in range(14)}
        files["base/CMakeLists.txt"] = "scoville_library(b SRCS clock.cc clock.h " + " ".join(
            path.removeprefix("base/") for path in files) + ")\n"
        self.assertIn(("folder-size", "base/", 1), findings(**files))

    def test_headers(self):
        good = header("base/clock.h")
        self.assert_only(changed("base/clock.h", good.replace("// What it is for.\n", "")),
                         "header-comment", "base/clock.h", 1)
        self.assert_only(changed("base/clock.h", good.replace("BASE_CLOCK_H_", "CLOCK_H_")),
                         "header-guard", "base/clock.h", 1)
        self.assert_only(changed("base/clock.h", good.replace("#endif  // SCOVILLE_BASE_CLOCK_H_", "#endif")),
                         "header-guard", "base/clock.h", 8)
        self.assert_only(changed("base/clock.h", "// What.\n#pragma once\n"), "header-guard", "base/clock.h", 1)

    def test_own_header_first(self):
        text = '#include <string>\n\n#include "base/clock.h"\n'
        self.assert_only(changed("base/clock.cc", text), "own-header-first", "base/clock.cc", 1)

    def test_registration(self):
        self.assert_only(changed("base/lost.cc", "int x;\n"), "unregistered", "base/lost.cc", 1)
        self.assert_only(changed("base/lost_test.cc", "int x;\n"), "unregistered", "base/lost_test.cc", 1)
        self.assert_only(changed("base/CMakeLists.txt", "# clock.cc\nscoville_library(scoville_base SRCS clock.h)\n"),
                         "unregistered", "base/clock.cc", 1)
        self.assert_only(changed("CMakeLists.txt", "add_subdirectory(base)\nadd_subdirectory(device)\n"),
                         "unregistered", "server/CMakeLists.txt", 1)


class FunctionsTest(unittest.TestCase):
    def lengths(self, text):
        return list(cpp_text.functions(text))

    def test_what_counts_as_a_function(self):
        self.assertEqual(self.lengths("int F() {\n  return 1;\n}\n"), [(1, 3)])
        self.assertEqual(self.lengths("Foo::Foo(int a)\n    : a_(a), b_{1} {\n  G();\n}\n"), [(1, 4)])
        self.assertEqual(self.lengths("int F() {\n  for (int i = 0; i < 3; ++i) {\n  }\n}\n"), [(1, 4)])
        self.assertEqual(self.lengths("template <class T>\nauto F(T t) -> int {\n}\n"), [(1, 3)])
        self.assertEqual(self.lengths("TEST(A, B) {\n  auto f = [&](int x) {\n    G();\n  };\n}\n"), [(1, 5)])

    def test_what_does_not(self):
        for text in ("namespace a {\nstruct S {\n  int x = F(1);\n};\n}\n", "const int a[] = {\n  1,\n};\n",
                     "enum class E {\n  kA,\n};\n", "auto x = F({\n 1});\n"):
            self.assertEqual(self.lengths(text), [], text)

    def test_methods_of_a_class(self):
        text = "class C : public D {\n public:\n  int F() const {\n    for (;;) {\n    }\n  }\n  int x_;\n};\n"
        self.assertEqual(self.lengths(text), [(3, 4)])


if __name__ == "__main__":
    unittest.main()
