"""An object of any size is read within a bounded memory: 50 MB here, 500 MB in `make soak`."""

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from events.aws import LocalAWS
from tests.conftest import ROOT

OBJECT_MB = int(os.environ.get("OBJECT_MB", "50"))
LINE = b'{"inputs": "' + b"All work and no play. " * 45 + b'"}\n'
LINES = OBJECT_MB * 1_000_000 // len(LINE)
SIZE = LINES * len(LINE)
MOST_MB = 200
"""Of which the interpreter and its libraries have 90."""

READER = r"""
import re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))
from handler.aws import connect
from handler.records import StoredObject
from handler.sources.objects import lines
end = count = 0
for count, (_, end, fields) in enumerate(lines(connect("s3", read_seconds=10), StoredObject("corpus", "a.jsonl"), "inputs"), 1):
    assert fields["inputs"]
# ru_maxrss would begin with that of the process that started this one.
print(count, end, int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


class Endless(BaseHTTPRequestHandler):
    """A store of one object, made as it is asked for."""

    def do_GET(self) -> None:
        """Give the range."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        assert asked
        first, last = int(asked[1]), min(int(asked[2]), SIZE - 1)
        self.send_response(206 if first < SIZE else 416)
        self.send_header("Content-Length", str(max(0, last + 1 - first)))
        self.send_header("ETag", '"etag"')
        self.end_headers()
        begin = first % len(LINE)
        self.wfile.write((LINE * ((last - first) // len(LINE) + 3))[begin : begin + last + 1 - first])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_object_of_any_size_is_read_within_the_same_memory(aws: LocalAWS) -> None:
    """Under a limit of 1 GB, in a process of its own, whose peak is measured."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        environment = {**os.environ, **aws.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        ran = subprocess.run([sys.executable, "-c", READER], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        server.shutdown()
        thread.join()
    assert ran.returncode == 0, ran.stderr
    count, end, peak_mb = map(int, ran.stdout.split())
    print(f"{SIZE / 1e6:.0f} MB, {count} records, peak {peak_mb} MB")  # noqa: T201 - the figure, with -s
    assert (count, end) == (LINES, SIZE)
    assert peak_mb < MOST_MB
