"""An object of any size is read within the same memory. It has 50 MB here, and 500 MB in `make soak`."""

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
"""The interpreter and its libraries take 90 of them."""

READER = r"""
import re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))
from handler.aws import connect
from handler.records import StoredObject
from handler.sources.s3_objects import read_fields
end = count = 0
records = read_fields(connect("s3", read_seconds=10), StoredObject("corpus", "a.jsonl"), "inputs")
for count, (_, end, fields) in enumerate(records, 1):
    assert fields["inputs"]
# ru_maxrss would include the peak of the process that started this one.
print(count, end, int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


class Endless(BaseHTTPRequestHandler):
    """An S3 with one object, whose bytes are made when they are read."""

    def do_GET(self) -> None:
        """Send the range."""
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
        """Write no log."""


def test_an_object_of_any_size_is_read_within_the_same_memory(aws: LocalAWS) -> None:
    """A process with a limit of 1 GB reads it, and its peak is measured."""
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
