"""Several events are handled at the same time: by threads, by forked processes, and by processes that share a /tmp."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from handler.config import Settings
from handler.functions.api import make_handler
from handler.functions.request_log import MeteredService
from handler.service import Options, Service
from tests.conftest import INT8, ROOT, Client, LocalS3, serve

EVENTS = int(os.environ.get("CONCURRENT_EVENTS", "160"))
"""The number of events. `make soak` handles 20,000."""
TEXTS = [f"text {number}" for number in range(8)]


def test_threads_of_one_process_get_the_same_responses_as_a_single_thread(service: Service) -> None:
    """They send HTTP requests and plain invocations to one service with a cache. A new thread has no event loop."""
    expected = {text: service.embed([text], Options(use_cache=False)).vectors.tolist() for text in TEXTS}
    handler = make_handler(service, None)

    def send(number: int) -> bool:
        text = TEXTS[number % len(TEXTS)]
        reply = Client(handler).post({"inputs": text})
        plain = json.loads(handler({"inputs": text}, None))
        return reply.status == 200 and reply.json == plain and plain[0] == pytest.approx(expected[text][0], abs=1e-3)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(send, range(EVENTS)))


def test_each_thread_counts_its_own_event(service: Service) -> None:
    """The figures of one event are not those of another that is handled at the same time."""
    metered = MeteredService(service)

    def count(texts: int) -> int:
        metered.figures.clear()
        metered.embed([f"{number} of {texts}" for number in range(texts)], Options())
        return metered.figures["texts"]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(count, range(1, 41))) == list(range(1, 41))


FORKING = """
import json, os, sys
from handler.functions.api import handler
def embed():
    return bytes(handler({"inputs": ["a text", "another text", "and a third"]}, None))
before = embed()
child = os.fork()
if not child:
    os._exit(0 if embed() == before == embed() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert embed() == before
"""


def test_a_process_that_is_forked_after_the_model_was_loaded_responds_too() -> None:
    """It has none of its parent's threads, and would wait for them for ever. So it loads a model of its own."""
    environment = os.environ | {"MODEL_DIR": str(INT8), "AUTH": "none", "THREADS": "2", "CACHE_MEMORY_MB": "0"}
    done = subprocess.run(
        [sys.executable, "-c", FORKING], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("processes", "threads", "memory_mb"), [(None, 4, 8192), ("1", 4, 8192), ("2", 2, 4096), ("64", 1, 128)])
def test_processes_of_one_environment_share_its_vcpus_and_memory(
    processes: str | None, threads: int, memory_mb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda Managed Instances set a variable to the number of processes."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 4)
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "8192", "CACHE_MEMORY_MB": "64"}
    settings = Settings.from_environment(environment | ({"AWS_LAMBDA_MAX_CONCURRENCY": processes} if processes else {}))
    assert (settings.threads, settings.memory_mb) == (threads, memory_mb)
    assert settings.cache.memory_bytes == 64_000_000 // int(processes or 1)


FETCHING = """
import os
from handler.bootstrap import load_service
from handler.service import Options
print(load_service(os.environ).embed(["How is the weather?"], Options()).vectors.tobytes().hex())
"""


def test_processes_that_share_a_tmp_fetch_a_model_once(s3: LocalS3, tmp_path: Path) -> None:
    """All others wait for the one that fetches it, and none loads an incomplete file."""
    uri = s3.upload(INT8, "several")
    environment = os.environ | s3.environment | {"MODEL_URI": uri, "MODEL_TMP": str(tmp_path), "AWS_LAMBDA_MAX_CONCURRENCY": "4"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FETCHING], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    replies = [process.communicate(timeout=120) for process in processes]
    expected = serve(INT8).embed(["How is the weather?"], Options()).vectors.tobytes().hex()
    assert [output.decode().strip() for output, _ in replies] == [expected] * 4
    lines = [json.loads(line) for _, errors in replies for line in errors.splitlines() if line.startswith(b"{")]
    fetched = sorted(line["fetched_bytes"] for line in lines if line["event"] == "model_ready")
    assert fetched[:3] == [0, 0, 0]
    assert fetched[3] > 20_000_000
