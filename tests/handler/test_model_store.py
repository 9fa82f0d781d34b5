"""A model in S3: the files that arrive are those of the manifest, or the model is refused with one sentence."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from events.emulator import Emulator
from handler.bootstrap import load_service
from handler.bucket import AHEAD, PART_BYTES, Bucket
from handler.embedding.manifest import Manifest
from handler.functions.api import make_handler
from handler.service import Options, Service
from tests.conftest import INT8, ROOT, Client, LocalS3, serve
from tests.faults.faults import html, noise, resetting, resetting_mid_body, truncating
from tests.faults.proxy import Exchange, Fault, FaultProxy, none

WEIGHTS = "model.onnx.data"
PREFIXES = count()
type Refusal = Callable[[Service], str]
type Damage = Callable[[LocalS3, str], object]


@pytest.fixture(scope="module")
def proxy(s3: LocalS3) -> Iterator[FaultProxy]:
    """Start a proxy in front of S3."""
    with FaultProxy(s3.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def uploaded(s3: LocalS3) -> str:
    """Upload the default model once for all tests; the value is its prefix."""
    s3.upload(INT8, "all-MiniLM-L6-v2")
    return "all-MiniLM-L6-v2"


@pytest.fixture
def prefix(s3: LocalS3, uploaded: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copy the default model to a prefix for one test. AWS's library reaches S3 through the proxy."""
    for name, value in {**s3.environment, "AWS_ENDPOINT_URL_S3": proxy.endpoint}.items():
        monkeypatch.setenv(name, value)
    prefix = f"{uploaded}/{next(PREFIXES)}"
    for name in ("manifest.json", *Manifest.read(INT8).files):
        s3.client().copy_object(Bucket=s3.bucket, Key=f"{prefix}/{name}", CopySource=f"{s3.bucket}/{uploaded}/{name}")
    proxy.calls.clear()
    return prefix


@pytest.fixture
def started(prefix: str, s3: LocalS3, tmp_path: Path) -> Callable[..., Service]:
    """Return a function that starts an environment with the model in S3; its arguments are further settings."""
    uri = {"MODEL_URI": f"s3://{s3.bucket}/{prefix}", "MODEL_TMP": str(tmp_path / "tmp")}
    return lambda **settings: load_service(uri | settings)


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Return a function that checks the refusals of a service without a model, and returns the reason from the log."""

    def refusal(service: Service) -> str:
        client = Client(make_handler(service, None))
        replies = [client.post({"inputs": "a"}), client.get("/info"), client.get("/health")]
        assert {reply.status for reply in replies} == {424}
        (sentence,) = {reply.json["error"] for reply in replies}
        general, _, incident = sentence.rpartition(" ")
        assert general == "The model cannot be served; the reason is in the log under"
        logged = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        (reason,) = [line["reason"] for line in logged if line.get("incident") == incident]
        return str(reason)

    return refusal


def vector(service: Service) -> bytes:
    """Return the bytes of a text's vector."""
    return service.embed(["How is the weather?"], Options(use_cache=False)).vectors.tobytes()


def file_names(folder: Path) -> set[str]:
    """Return the names of all files under a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def fetched(proxy: FaultProxy, name: str) -> int:
    """Return the number of requests for parts of an object since the model was copied."""
    return sum(calls for call, calls in proxy.calls.items() if call.startswith("GET") and call.endswith(f"/{name}"))


def of_weights(fault: Fault, *, times: int = 1000) -> Fault:
    """Return a fault that affects the first reads of the weights, as many as `times`."""
    failures = iter(range(times))

    async def sometimes(exchange: Exchange) -> None:
        fails_now = exchange.operation.endswith(WEIGHTS) and next(failures, None) is not None
        await (fault if fails_now else none)(exchange)

    return sometimes


def s3_error(status: int, code: str) -> Fault:
    """Return a fault in which S3 itself returns an error."""

    async def error(exchange: Exchange) -> None:
        body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
        await exchange.send(
            b"HTTP/1.1 %d X\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
        )

    return error


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


# --- Faults -----------------------------------------------------------------------------------------------

TRANSIENT: dict[str, Fault] = {
    "truncated": truncating,
    "reset": resetting,
    "reset in its middle": resetting_mid_body,
    "SlowDown": s3_error(503, "SlowDown"),
    "InternalError": s3_error(500, "InternalError"),
    "HTML": html,
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_read_that_fails_is_retried(name: str, started: Callable[..., Service], service: Service, proxy: FaultProxy) -> None:
    """Two of the parts fail once."""
    proxy.fault = of_weights(TRANSIENT[name], times=2)
    try:
        assert vector(started()) == vector(service)
    finally:
        proxy.fault = none
    assert fetched(proxy, WEIGHTS) == -(-(INT8 / WEIGHTS).stat().st_size // PART_BYTES) + 2


PERMANENT: dict[str, tuple[Fault, str]] = {
    "truncated": (truncating, "cannot be read (IncompleteRead"),
    "reset": (resetting, "cannot be read (Connection"),
    "SlowDown": (s3_error(503, "SlowDown"), "cannot be read (SlowDown)"),
    "HTML": (html, "cannot be read (NotS3)"),
    "noise": (noise, "cannot be read ("),
    "AccessDenied": (s3_error(403, "AccessDenied"), "is missing, or this function has no right to read it (s3:GetObject)"),
    "ExpiredToken": (s3_error(400, "ExpiredToken"), "cannot be read (ExpiredToken)"),
}


@pytest.mark.parametrize("name", PERMANENT)
def test_a_read_that_always_fails_is_reported(
    name: str, started: Callable[..., Service], proxy: FaultProxy, tmp_path: Path, refusal: Refusal
) -> None:
    """The sentence has the file's name and S3's reason. No part of the file remains."""
    fault, ending = PERMANENT[name]
    proxy.fault = of_weights(fault)
    try:
        assert refusal(started()).startswith(f"The file {WEIGHTS} in MODEL_URI {ending}")
    finally:
        proxy.fault = none
    assert not any(WEIGHTS in name for name in file_names(tmp_path))


def test_an_object_that_changes_while_it_is_read_is_refused(
    started: Callable[..., Service], proxy: FaultProxy, s3: LocalS3, prefix: str, refusal: Refusal
) -> None:
    """Each request names the version of the first part, so that parts of two versions are never joined."""
    changed = (INT8 / WEIGHTS).read_bytes()[::-1]
    calls = count()

    async def changing(exchange: Exchange) -> None:
        await none(exchange)
        if exchange.operation.endswith(WEIGHTS) and not next(calls):
            s3.client().put_object(Bucket=s3.bucket, Key=f"{prefix}/{WEIGHTS}", Body=changed)

    proxy.fault = changing
    try:
        assert refusal(started()) == f"The file {WEIGHTS} in MODEL_URI changed while it was read"
    finally:
        proxy.fault = none


def replaced(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """Return a damage that uploads changed content in place of a file."""
    return lambda s3, prefix: s3.client().put_object(
        Bucket=s3.bucket, Key=f"{prefix}/{name}", Body=change((INT8 / name).read_bytes())
    )


def without(name: str) -> Damage:
    """Return a damage that deletes a file."""
    return lambda s3, prefix: s3.client().delete_object(Bucket=s3.bucket, Key=f"{prefix}/{name}")


def naming(name: str) -> Callable[[bytes], bytes]:
    """Return a change that adds a file to a manifest."""

    def change(content: bytes) -> bytes:
        manifest = json.loads(content)
        return json.dumps(manifest | {"files": manifest["files"] | {name: "0" * 64}}).encode()

    return change


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no manifest": (without("manifest.json"), "The file manifest.json in MODEL_URI is missing"),
    "no weights": (without(WEIGHTS), f"The file {WEIGHTS} in MODEL_URI is missing"),
    "half of the weights": (
        replaced(WEIGHTS, lambda content: content[: len(content) // 2]),
        f"The file {WEIGHTS} in MODEL_URI is damaged, truncated or another model's: it has ",
    ),
    "one bit": (
        replaced(WEIGHTS, lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        f"The file {WEIGHTS} in MODEL_URI is damaged, truncated or another model's: it has ",
    ),
    "an empty tokenizer": (replaced("tokenizer.json", lambda _: b""), "The file tokenizer.json in MODEL_URI is empty"),
    "no JSON": (replaced("manifest.json", lambda _: b"\xff"), "manifest.json in MODEL_URI is not a model manifest"),
    "a path out of the folder": (
        replaced("manifest.json", naming("../../authorized_keys")),
        "manifest.json in MODEL_URI has no usable files",
    ),
    "a file nobody has": (replaced("manifest.json", naming("more")), "The file more in MODEL_URI is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_model_that_is_not_the_one_of_its_manifest_is_refused(
    name: str, started: Callable[..., Service], s3: LocalS3, prefix: str, tmp_path: Path, refusal: Refusal
) -> None:
    """The log has one sentence, and /tmp has only complete files."""
    damage, sentence = DAMAGES[name]
    damage(s3, prefix)
    assert refusal(started()).startswith(sentence)
    assert file_names(tmp_path) <= Manifest.read(INT8).files.keys()


DIGEST = Manifest.read(INT8).digest
OTHER_DIGEST = "0" * 64
UNEXPECTED = (
    f"manifest.json has the sha256 {DIGEST}, but MODEL_SHA256 (in a deployed stack, the parameter ModelSha256) is {OTHER_DIGEST}. "
    f"Set it to {DIGEST} to serve this model"
)
SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "another manifest": ({"MODEL_SHA256": OTHER_DIGEST}, UNEXPECTED),
    "no digest": ({"MODEL_SHA256": "latest"}, "MODEL_SHA256 must be 64 hexadecimal digits; it is 'latest'"),
    "no bucket": ({"MODEL_URI": "s3://nowhere/model"}, "The file manifest.json in MODEL_URI is missing: there is no such bucket"),
    "no prefix": ({"MODEL_URI": "s3://models"}, "MODEL_URI must be s3://bucket/prefix; it is 's3://models'"),
    "a path out of the folder": (
        {"MODEL_URI": "s3://models/../../x"},
        "MODEL_URI must be s3://bucket/prefix; it is 's3://models/../../x'",
    ),
    "no folder": ({"MODEL_TMP": "/dev/null"}, "The model cannot be written to /dev/null: Not a directory"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_invalid_setting_is_refused(name: str, started: Callable[..., Service], refusal: Refusal) -> None:
    """The sentence has its name and value. No weights are fetched."""
    settings, sentence = SETTINGS[name]
    assert refusal(started(**settings)) == sentence


def test_the_digest_of_the_manifest_is_checked_for_a_model_in_a_layer_too(refusal: Refusal) -> None:
    """Only the model with this digest is served."""
    assert vector(serve(INT8, MODEL_SHA256=DIGEST))
    assert refusal(serve(INT8, MODEL_SHA256=OTHER_DIGEST)) == UNEXPECTED


def test_an_endpoint_that_refuses_connections_is_reported(
    started: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    """No server listens at port 9."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert refusal(started()) == "The file manifest.json in MODEL_URI cannot be read (EndpointConnectionError)"


def test_a_full_tmp_is_reported(
    started: Callable[..., Service], s3: LocalS3, prefix: str, tmp_path: Path, refusal: Refusal
) -> None:
    """The file is written to a device that is always full."""
    folder = tmp_path / "tmp" / s3.bucket / prefix
    folder.mkdir(parents=True)
    (folder / f"{WEIGHTS}.part").symlink_to("/dev/full")
    free = shutil.disk_usage(tmp_path).free // 1_000_000
    sentence = refusal(started())
    assert sentence.startswith(f"There is no space for the model in {tmp_path / 'tmp'}: ")
    assert abs(int(sentence.split()[-4]) - free) < 10_000  # other processes write there too
    assert WEIGHTS not in file_names(tmp_path)


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
