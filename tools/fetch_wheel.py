#!/usr/bin/env python3
"""Downloads one wheel from the package index that pip is configured for, and goes on where it was cut off.

usage: fetch_wheel.py FILENAME DIRECTORY

pip itself starts anew after every interruption. The index gives the wheel's address and SHA-256; what has come so far
stays in DIRECTORY/FILENAME.partial, also when this program ends, and the next one asks the server for the rest (HTTP
Range). A server that cannot do that sends the whole; a file whose SHA-256 is wrong is fetched anew, once.

Exit: 0 done (DIRECTORY/FILENAME), 1 the download broke off and may be tried again, 3 nothing came at all (no such package
there, a login, a file system path, ...): leave it to pip.
"""
import hashlib
import html.parser
import http.client
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TRIES = 4  # in a row without a byte
TIMEOUT_SECONDS = 30
CHUNK = 1 << 18


class Links(html.parser.HTMLParser):
    """The addresses a page of the index links to."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def index_url():
    """Where pip would look."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^(\S+)\.index-url='(.*)'$", listed.stdout, re.MULTILINE))
    for scope in (":env:", "download", "install", "global"):
        if scope in found:
            return found[scope]
    return "https://pypi.org/simple"


def locate(filename):
    """(address, SHA-256) of the file, from the index's page of its project."""
    project = re.sub(r"[-_.]+", "-", filename.split("-")[0]).lower()
    page = index_url().rstrip("/") + "/" + project + "/"
    with urllib.request.urlopen(page, timeout=TIMEOUT_SECONDS) as response:
        links = Links()
        links.feed(response.read(4 << 20).decode("utf-8", "replace"))
        base = response.geturl()
    for link in links.found:
        url, fragment = urllib.parse.urldefrag(urllib.parse.urljoin(base, link))
        if urllib.parse.unquote(urllib.parse.urlsplit(url).path).endswith("/" + filename) and fragment.startswith("sha256="):
            return url, fragment[len("sha256="):]
    raise LookupError(f"{page} has no {filename} with a SHA-256")


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def size_of(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


class Progress:
    """A line for each per cent."""

    def __init__(self, filename):
        self.filename = filename
        self.last = -1

    def show(self, have, total):
        percent = have * 100 // total if total else 0
        if percent > self.last:
            self.last = percent
            print(f"[{percent}/100] downloading {self.filename}", file=sys.stderr, flush=True)


def get_rest(url, partial, progress):
    """Appends what is missing; True if all of it has come, False if the connection broke."""
    have = size_of(partial)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing, or the file is another one: the SHA-256 tells
            return True
        raise
    with response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if not resumed:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else 0
        with open(partial, "ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress.show(have, total)
    return not total or have == total


def download(url, partial, progress):
    """All of the file; False after too many tries in a row that brought nothing."""
    idle = 0
    while idle < TRIES:
        before = size_of(partial)
        try:
            if get_rest(url, partial, progress):
                return True
            reason = "the connection was cut"
        except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
            reason = str(error)
        if size_of(partial) > before:
            idle = 0
            continue
        idle += 1
        print(f"fetch_wheel: {reason} (try {idle} of {TRIES})", file=sys.stderr)
        time.sleep(0.25 * idle)
    return False


def main(filename, directory):
    try:
        url, sha256 = locate(filename)
    except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
        print(f"fetch_wheel: cannot ask the package index: {error}", file=sys.stderr)
        return 3
    partial = os.path.join(directory, filename + ".partial")
    for _ in range(2):
        if not download(url, partial, Progress(filename)):
            return 1 if size_of(partial) else 3
        if sha256_of(partial) == sha256:
            os.replace(partial, os.path.join(directory, filename))
            return 0
        print("fetch_wheel: the file's SHA-256 is not the index's; fetching it anew", file=sys.stderr)
        os.remove(partial)
    return 3


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1], sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
