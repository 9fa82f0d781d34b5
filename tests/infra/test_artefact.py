"""The built function runs as on Lambda: with its own folders only, under AWS's emulator. `make artefact` runs these tests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT

GOLDEN = json.loads((ROOT / "tests/golden/all-MiniLM-L6-v2.json").read_text())
TEXTS = [row["text"] for row in GOLDEN["rows"]]
# Sends the events on standard input to a function, and prints its replies, each a text.
SCRIPT = """
import json, os, socket, sys
from pathlib import Path
from events.emulator import Emulator

def refused(path):
    try:
        Path(path, "a-file").touch()
    except OSError:
        return True
    return False

assert os.getuid() == os.geteuid() == 993, "not as Lambda's user"
assert "CapEff:\\t0000000000000000" in Path("/proc/self/status").read_text(), "with rights of root"
assert all(map(refused, ["/", "/var/task", "/opt", "/opt/python", "/opt/model", "/var/runtime", "/nonexistent"])), "not read-only"
assert [name for _, name in socket.if_nameindex()] == ["lo"] and not Path("/sys").exists(), "not apart"
space = os.statvfs("/tmp")
assert space.f_blocks * space.f_frsize == 512 * 2**20, "not Lambda's /tmp"

handler, events = json.load(sys.stdin)
environment = {
    "PATH": os.defpath, "HOME": "/nonexistent", "MODEL_DIR": "/opt/model", "OPENBLAS_NUM_THREADS": "1", "API_KEYS": "a-key",
}
folders = [Path("/var/task"), Path("/opt/python"), Path("/var/runtime")]
with Emulator(handler, cwd=folders[0], env=environment, python=sys.executable, pythonpath=folders) as function:
    replies = [function.invoke(json.dumps(event).encode()).decode() for event in events]
    sys.stderr.write(function.log)
json.dump(replies, sys.stdout)
"""

pytestmark = pytest.mark.skipif(not os.environ.get("RUN_ARTEFACT"), reason="`make artefact` runs these")


def replies(function: str, runtime_client: Path, tmp_path: Path, *events: object) -> list[Any]:
    """Return the responses of a built function to events, one after another."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    handler = f"handler.functions.{function.removesuffix('Function').lower()}.handler"
    ran = subprocess.run(
        [ROOT / "tests/infra/isolated.sh", ROOT / "build/lambda/app", function, runtime_client, sys.base_prefix, script],
        cwd=ROOT,
        input=json.dumps([handler, events]),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [json.loads(reply) for reply in json.loads(ran.stdout)]


def assert_golden(vectors: list[list[float]]) -> None:
    """Check that vectors are as close to torch's as tests/golden requires of the model."""
    ours, theirs = (np.array(found) for found in (vectors, [row["pooled"] for row in GOLDEN["rows"]]))
    cosines = (ours * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert cosines.min() >= 0.985


def test_the_http_function_answers_requests_and_plain_events_alike(runtime_client: Path, tmp_path: Path) -> None:
    """JSON and base64 have the same numbers, those of the golden vectors; without the key there are none."""
    event = json.loads((ROOT / "events/http_api_v2.json").read_text()) | {"body": json.dumps({"inputs": TEXTS})}
    allowed = event | {"headers": event["headers"] | {"authorization": "Bearer a-key"}}
    refused, answered, plain = replies("ApiFunction", runtime_client, tmp_path, event, allowed, {"inputs": TEXTS})
    assert refused["statusCode"] == 401
    assert answered["statusCode"] == 200
    assert json.loads(answered["body"]) == plain
    assert_golden(plain)


def test_the_pipeline_function_embeds_and_asks_for_a_sink(runtime_client: Path, tmp_path: Path) -> None:
    """It returns the golden vectors. An event whose response nobody reads is refused if no sink is set."""
    queue = json.loads((ROOT / "events/sqs.json").read_text())
    plain, refused = replies("PipelineFunction", runtime_client, tmp_path, {"inputs": TEXTS}, queue)
    assert_golden(plain)
    assert refused["errorType"] == "Backend"
    assert refused["errorMessage"].startswith("SINK must be set for events of ")


def test_everybody_may_read_the_artefact() -> None:
    """On Lambda another user owns the folders, so they are read-only there; here they are not."""
    paths = list((ROOT / "build/lambda/app").rglob("*"))
    needed = {path: 0o555 if path.is_dir() else 0o444 for path in paths}
    assert paths
    assert [path for path, mode in needed.items() if path.stat().st_mode & mode != mode] == []
