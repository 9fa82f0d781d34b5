"""A model in S3 is fetched once, and complete files of an earlier start are used again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from events.emulator import Emulator
from handler.bucket import AHEAD, PART_BYTES, Bucket
from handler.embedding.manifest import Manifest
from handler.service import Service
from tests.conftest import INT8, ROOT, LocalS3
from tests.faults.proxy import Exchange, Fault, FaultProxy, none
from tests.handler.model_store.stored import WEIGHTS, fetched, file_names, vector


def test_a_model_in_s3_gives_the_bits_that_the_same_model_in_a_layer_does(
    started: Callable[..., Service], service: Service, tmp_path: Path
) -> None:
    """Its files are in /tmp, and no other file is."""
    assert vector(started()) == vector(service)
    assert file_names(tmp_path) == Manifest.read(INT8).files.keys()


def test_every_byte_is_requested_once(started: Callable[..., Service], proxy: FaultProxy) -> None:
    """The parts have 4 MiB."""
    started()
    size = (INT8 / WEIGHTS).stat().st_size
    assert fetched(proxy, WEIGHTS) == -(-size // PART_BYTES) > 1
    assert fetched(proxy, "manifest.json") == fetched(proxy, "tokenizer.json") == fetched(proxy, "model.onnx") == 1


def test_parts_arrive_in_order_and_few_are_in_memory_at_a_time(s3: LocalS3, proxy: FaultProxy, prefix: str) -> None:
    """While the reader is slow, no further parts are requested."""
    content = np.random.default_rng(7).bytes(14 * PART_BYTES + 5)
    s3.client().put_object(Bucket=s3.bucket, Key=f"{prefix}/large", Body=content)
    parts = Bucket.at(f"s3://{s3.bucket}/{prefix}", "here").parts("large")
    received = [next(parts)]
    time.sleep(1)
    assert fetched(proxy, "large") <= 1 + AHEAD
    received += parts
    assert b"".join(received) == content


def test_complete_files_of_an_earlier_start_are_not_fetched_again(started: Callable[..., Service], proxy: FaultProxy) -> None:
    """Only the manifest is fetched again."""
    first = vector(started())
    proxy.calls.clear()
    assert vector(started()) == first
    assert sum(proxy.calls.values()) == fetched(proxy, "manifest.json") == 1


def truncate(path: Path) -> None:
    """Leave half of a file under its own name, and under the name of an unfinished one."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    path.with_name(f"{path.name}.part").write_bytes(content[: len(content) // 2])


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip])
def test_damaged_files_of_an_earlier_start_are_fetched_again(
    damage: Callable[[Path], None], started: Callable[..., Service], service: Service, proxy: FaultProxy, tmp_path: Path
) -> None:
    """No other file is fetched."""
    started()
    (weights,) = tmp_path.rglob(WEIGHTS)
    damage(weights)
    proxy.calls.clear()
    assert vector(started()) == vector(service)
    assert file_names(tmp_path) == Manifest.read(INT8).files.keys()
    assert fetched(proxy, "tokenizer.json") == 0


def test_no_file_of_a_start_that_was_killed_is_used_by_the_next_one(
    started: Callable[..., Service], service: Service, proxy: FaultProxy, s3: LocalS3, prefix: str, tmp_path: Path
) -> None:
    """The process is killed when half of the weights are written."""
    proxy.fault = after_parts(3, hanging)
    program = "import os; from handler.bootstrap import load_service; load_service(os.environ)"
    where = {"MODEL_URI": f"s3://{s3.bucket}/{prefix}", "MODEL_TMP": str(tmp_path / "tmp")}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=os.environ | where, stderr=subprocess.DEVNULL) as start:
        try:
            until(lambda: any(path.stat().st_size >= PART_BYTES for path in tmp_path.rglob(f"{WEIGHTS}.part")))
        finally:
            start.send_signal(signal.SIGKILL)
            proxy.fault = none
    assert f"{WEIGHTS}.part" in file_names(tmp_path)
    assert vector(started()) == vector(service)
    assert file_names(tmp_path) == Manifest.read(INT8).files.keys()


async def hanging(exchange: Exchange) -> None:
    """Send no response while the test runs."""
    del exchange
    await asyncio.sleep(60)


def after_parts(parts: int, fault: Fault) -> Fault:
    """Return a fault that affects all parts of the weights except the first few."""
    calls = count()

    async def after(exchange: Exchange) -> None:
        fails = exchange.operation.endswith(WEIGHTS) and next(calls) >= parts
        await (fault if fails else none)(exchange)

    return after


def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true; fail after 30 s."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_model_comes_from_s3_in_aws_s_emulator(s3: LocalS3, prefix: str, service: Service, tmp_path: Path) -> None:
    """After a failure, the caller gets an id, and the log has the reason under it."""
    event = json.dumps({"inputs": "How is the weather?"}).encode()
    where = s3.environment | {"MODEL_DIR": "/nowhere", "MODEL_TMP": str(tmp_path / "tmp"), "CACHE_MEMORY_MB": "0"}
    with Emulator(env=os.environ | where | {"MODEL_URI": f"s3://{s3.bucket}/{prefix}"}) as function:
        reply = json.loads(function.invoke(event))
    assert np.array(reply, np.float32).tobytes() == vector(service)
    with Emulator(env=os.environ | where | {"MODEL_URI": f"s3://{s3.bucket}/elsewhere"}) as function:
        reply = json.loads(function.invoke(event))
        log = function.log
    assert reply["errorType"] == "Backend"
    general, _, incident = reply["errorMessage"].rpartition(" ")
    assert general == "The model cannot be served; the reason is in the log under"
    assert f'"incident": "{incident}", "reason": "The file manifest.json in MODEL_URI is missing"' in log
