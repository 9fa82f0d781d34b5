"""Serve a small hub on loopback: one model at one commit, with the paths that huggingface_hub requests.

It records what it served.
"""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REFS = {"main", "v1", COMMIT}


@dataclass
class Hub:
    """The model's files, and each GET of a file with its Range. `cut` ends the response of a file after a number of bytes, once."""

    name: str
    folder: Path
    url: str = ""
    served: list[tuple[str, str | None]] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The paths of the model's files."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def serving(name: str, folder: Path) -> Iterator[Hub]:
    """Serve the model in `folder` as `name`."""
    hub = Hub(name, folder)
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        model = f"/api/models/{self.hub.name}"
        match path.removeprefix(model).strip("/").split("/"):
            case [""] if path == model:
                self._json({"id": self.hub.name, "sha": COMMIT, "siblings": []})
            case ["revision", revision] if path.startswith(model):
                found = {"id": self.hub.name, "sha": COMMIT, "siblings": []} if revision in REFS else None
                self._json(found, "RevisionNotFound")
            case ["tree", *_] if path.startswith(model):
                self._json([self._entry(name) for name in self.hub.files])
            case _ if path.startswith(f"/{self.hub.name}/resolve/{COMMIT}/"):
                self._file(path.split("/", 5)[5], body=body)
            case _:
                self._json(None, "RepoNotFound")

    def _entry(self, name: str) -> dict[str, object]:
        path = self.hub.folder / name
        return {"type": "file", "path": name, "size": path.stat().st_size, "oid": hashlib.sha1(path.read_bytes()).hexdigest()}  # noqa: S324

    def _json(self, content: object, error: str = "") -> None:
        body = json.dumps({"error": error} if content is None else content).encode()
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("x-error-code", error)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, name: str, *, body: bool) -> None:
        content = (self.hub.folder / name).read_bytes()
        tag = hashlib.sha256(content).hexdigest()
        asked = self.headers.get("range")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("etag", f'"{tag}"')
        self.send_header("x-repo-commit", COMMIT)
        self.send_header("accept-ranges", "bytes")
        if asked:
            self.send_header("content-range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("content-length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        self.hub.served.append((name, asked))
        cut = self.hub.cut.pop(name, None)
        self.wfile.write(content[start:cut])
        if cut is not None:
            self.close_connection = True
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""
