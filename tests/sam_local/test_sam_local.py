"""The plain commands of SAM, over containers, as someone at a laptop types them. `make sam-local` runs these.

Events whose vectors go to a sink need one of an account: `make invoke` runs them with AWS on this machine.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from huggingface_hub import InferenceClient

from events import http_api
from tests.conftest import ROOT

GOLDEN = json.loads((ROOT / "tests/golden/all-MiniLM-L6-v2.json").read_text())["rows"]
DIMENSION = 384
INVOCATIONS = [
    ("ApiFunction", "direct", [DIMENSION, DIMENSION]),
    ("ApiFunction", "http_api_v2", [DIMENSION]),
    ("ApiFunction", "rest_v1", [DIMENSION]),
    ("ApiFunction", "function_url", [DIMENSION]),
    ("ApiFunction", "alb", [DIMENSION]),
    ("PipelineFunction", "direct", [DIMENSION, DIMENSION]),
    ("PipelineFunction", "records", [DIMENSION, 64]),
    ("PipelineFunction", "pipes", [DIMENSION, DIMENSION]),
]
"""Function, event, and the lengths of the vectors in the reply."""
SAM = [str(ROOT / "build/sam/bin/sam"), "local"]
# The image is here already, pulled or made.
FLAGS = ["--skip-pull-image"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in {"AUTH", "MODEL_DIR"}} | {"SAM_CLI_TELEMETRY": "0"}
SECONDS = 120

pytestmark = pytest.mark.skipif(not os.environ.get("RUN_SAM_LOCAL"), reason="`make sam-local` runs these")


def vectors(reply: Any) -> list[list[float]]:  # noqa: ANN401 - as each caller is answered
    """Those of an HTTP reply, of a plain one, or of records, some of which have none."""
    if "statusCode" in reply:
        assert reply["statusCode"] == 200
        reply = json.loads(http_api.decode_body(reply))
    embeddings = [item.get("embedding") if isinstance(item, dict) else item for item in reply]
    return [embedding for embedding in embeddings if embedding]


@pytest.mark.parametrize(("function", "event", "lengths"), INVOCATIONS)
def test_invoke_answers_every_event_that_needs_no_account(function: str, event: str, lengths: list[int]) -> None:
    """From a container of its own, which is gone with its answer: how much of its log SAM still gets to show is chance."""
    run = subprocess.run(
        [*SAM, "invoke", function, "--event", f"events/{event}.json", *FLAGS],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert [len(vector) for vector in vectors(json.loads(run.stdout.splitlines()[-1]))] == lengths


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`sam local start-api`, which keeps its container."""
    log = tmp_path_factory.mktemp("start-api") / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [*SAM, "start-api", "--port", "0", "--warm-containers", "LAZY", *FLAGS],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + SECONDS
        while not (found := re.search(r"Running on (http://127\.0\.0\.1:[1-9]\d*)", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield found[1]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def test_start_api_serves_the_golden_vectors_over_http(url: str) -> None:
    """They are as close to torch's as tests/golden requires of the model."""
    reply = httpx.post(f"{url}/", json={"inputs": [row["text"] for row in GOLDEN]}, timeout=SECONDS)
    assert reply.status_code == 200, reply.text
    theirs = np.array([row["pooled"] for row in GOLDEN])
    cosines = (np.array(reply.json()) * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() >= 0.985


def test_start_api_serves_hugging_face_s_client(url: str) -> None:
    """Given the address in place of a model's name."""
    [vector] = InferenceClient(model=url, timeout=SECONDS).feature_extraction("Today is a sunny day and I will get some ice cream.")
    assert len(vector) == DIMENSION


def test_start_api_answers_what_is_wrong_in_a_sentence(url: str) -> None:
    """With the status that API Gateway would hand on."""
    reply = httpx.post(f"{url}/", json={"inputs": 7}, timeout=SECONDS)
    assert reply.status_code == 422
    assert reply.json().keys() == {"error", "error_type"}
