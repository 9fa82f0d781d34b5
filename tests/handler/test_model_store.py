"""A model in S3: what arrives is what the manifest says, whatever befalls it on the way, or one sentence says why not."""

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
from tests.faults.faults import cutting, html, noise, resetting, resetting_mid_body
from tests.faults.proxy import Exchange, Fault, FaultProxy, none

WEIGHTS = "model.onnx.data"
PREFIXES = count()
type Refusal = Callable[[Service], str]
type Damage = Callable[[LocalS3, str], object]


@pytest.fixture(scope="module")
def proxy(s3: LocalS3) -> Iterator[FaultProxy]:
    """A proxy before S3."""
    with FaultProxy(s3.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def uploaded(s3: LocalS3) -> str:
    """Where the default model was uploaded to, for all tests."""
    s3.upload(INT8, "all-MiniLM-L6-v2")
    return "all-MiniLM-L6-v2"


@pytest.fixture
def prefix(s3: LocalS3, uploaded: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the default model lies in the bucket, for this test alone; AWS's library finds S3 through the proxy."""
    for name, value in {**s3.environment, "AWS_ENDPOINT_URL_S3": proxy.endpoint}.items():
        monkeypatch.setenv(name, value)
    prefix = f"{uploaded}/{next(PREFIXES)}"
    for name in ("manifest.json", *Manifest.read(INT8).files):
        s3.client().copy_object(Bucket=s3.bucket, Key=f"{prefix}/{name}", CopySource=f"{s3.bucket}/{uploaded}/{name}")
    proxy.calls.clear()
    return prefix


@pytest.fixture
def started(prefix: str, s3: LocalS3, tmp_path: Path) -> Callable[..., Service]:
    """Start an environment with the model in S3, as often as it is called; settings by their names."""
    uri = {"MODEL_URI": f"s3://{s3.bucket}/{prefix}", "MODEL_TMP": str(tmp_path / "tmp")}
    return lambda **settings: load_service(uri | settings)


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Called with a service that has no model: the reason that the log has under the id that every caller gets."""

    def refusal(service: Service) -> str:
        client = Client(make_handler(service, None))
        replies = [client.post({"inputs": "a"}), client.get("/info"), client.get("/health")]
        assert {reply.status for reply in replies} == {424}
        (sentence,) = {reply.json["error"] for reply in replies}
        told, _, incident = sentence.rpartition(" ")
        assert told == "The model cannot be served; the reason is in the log under"
        logged = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        (reason,) = [line["reason"] for line in logged if line.get("incident") == incident]
        return str(reason)

    return refusal


def vector(service: Service) -> bytes:
    """What a text's vector is made of."""
    return service.embed(["How is the weather?"], Options(use_cache=False)).vectors.tobytes()


def left(folder: Path) -> set[str]:
    """The files under a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def fetched(proxy: FaultProxy, name: str) -> int:
    """How often a part of an object was asked for since the model was uploaded."""
    return sum(calls for call, calls in proxy.calls.items() if call.startswith("GET") and call.endswith(f"/{name}"))


def of_weights(fault: Fault, *, times: int = 1000) -> Fault:
    """A fault that strikes the first so many reads of the weights."""
    strikes = iter(range(times))

    async def sometimes(exchange: Exchange) -> None:
        strikes_now = exchange.operation.endswith(WEIGHTS) and next(strikes, None) is not None
        await (fault if strikes_now else none)(exchange)

    return sometimes


def saying(status: int, code: str) -> Fault:
    """S3 itself says no."""

    async def no(exchange: Exchange) -> None:
        body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
        await exchange.send(
            b"HTTP/1.1 %d X\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
        )

    return no


def test_a_model_in_s3_gives_the_bits_that_the_same_model_in_a_layer_does(
    started: Callable[..., Service], service: Service, tmp_path: Path
) -> None:
    """And lies in /tmp under its prefix, nothing beside it."""
    assert vector(started()) == vector(service)
    assert left(tmp_path) == Manifest.read(INT8).files.keys()


def test_every_byte_is_asked_for_once(started: Callable[..., Service], proxy: FaultProxy) -> None:
    """In parts of 4 MiB."""
    started()
    size = (INT8 / WEIGHTS).stat().st_size
    assert fetched(proxy, WEIGHTS) == -(-size // PART_BYTES) > 1
    assert fetched(proxy, "manifest.json") == fetched(proxy, "tokenizer.json") == fetched(proxy, "model.onnx") == 1


def test_parts_come_in_order_and_few_are_held_at_a_time(s3: LocalS3, proxy: FaultProxy, prefix: str) -> None:
    """However slow their reader is, no more are asked for than may be under way."""
    content = np.random.default_rng(7).bytes(14 * PART_BYTES + 5)
    s3.client().put_object(Bucket=s3.bucket, Key=f"{prefix}/large", Body=content)
    parts = Bucket.at(f"s3://{s3.bucket}/{prefix}", "here").parts("large")
    got = [next(parts)]
    time.sleep(1)
    assert fetched(proxy, "large") <= 1 + AHEAD
    got += parts
    assert b"".join(got) == content


def test_what_an_earlier_start_left_whole_is_not_fetched_again(started: Callable[..., Service], proxy: FaultProxy) -> None:
    """Only the manifest is."""
    first = vector(started())
    proxy.calls.clear()
    assert vector(started()) == first
    assert sum(proxy.calls.values()) == fetched(proxy, "manifest.json") == 1


def cut(path: Path) -> None:
    """Leave half of a file, under its own name and under that of a part."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    path.with_name(f"{path.name}.part").write_bytes(content[: len(content) // 2])


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
def test_what_an_earlier_start_left_damaged_is_fetched_again(
    damage: Callable[[Path], None], started: Callable[..., Service], service: Service, proxy: FaultProxy, tmp_path: Path
) -> None:
    """That file alone."""
    started()
    (weights,) = tmp_path.rglob(WEIGHTS)
    damage(weights)
    proxy.calls.clear()
    assert vector(started()) == vector(service)
    assert left(tmp_path) == Manifest.read(INT8).files.keys()
    assert fetched(proxy, "tokenizer.json") == 0


def test_a_start_that_was_killed_leaves_nothing_that_the_next_one_uses(
    started: Callable[..., Service], service: Service, proxy: FaultProxy, s3: LocalS3, prefix: str, tmp_path: Path
) -> None:
    """Half of the weights were written."""
    proxy.fault = after_parts(3, hanging)
    program = "import os; from handler.bootstrap import load_service; load_service(os.environ)"
    where = {"MODEL_URI": f"s3://{s3.bucket}/{prefix}", "MODEL_TMP": str(tmp_path / "tmp")}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=os.environ | where, stderr=subprocess.DEVNULL) as start:
        try:
            until(lambda: any(path.stat().st_size >= PART_BYTES for path in tmp_path.rglob(f"{WEIGHTS}.part")))
        finally:
            start.send_signal(signal.SIGKILL)
            proxy.fault = none
    assert f"{WEIGHTS}.part" in left(tmp_path)
    assert vector(started()) == vector(service)
    assert left(tmp_path) == Manifest.read(INT8).files.keys()


async def hanging(exchange: Exchange) -> None:
    """No answer comes while this test runs."""
    del exchange
    await asyncio.sleep(60)


def after_parts(parts: int, fault: Fault) -> Fault:
    """A fault that strikes all parts of the weights but the first few."""
    calls = count()

    async def later(exchange: Exchange) -> None:
        strikes = exchange.operation.endswith(WEIGHTS) and next(calls) >= parts
        await (fault if strikes else none)(exchange)

    return later


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, in vain for 30 s at most."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- Bad days ---------------------------------------------------------------------------------------------

PASSING: dict[str, Fault] = {
    "cut": cutting,
    "reset": resetting,
    "reset in its middle": resetting_mid_body,
    "SlowDown": saying(503, "SlowDown"),
    "InternalError": saying(500, "InternalError"),
    "HTML": html,
}


@pytest.mark.parametrize("name", PASSING)
def test_a_read_that_fails_is_tried_again(name: str, started: Callable[..., Service], service: Service, proxy: FaultProxy) -> None:
    """The first part and one of the later ones."""
    proxy.fault = of_weights(PASSING[name], times=2)
    try:
        assert vector(started()) == vector(service)
    finally:
        proxy.fault = none
    assert fetched(proxy, WEIGHTS) == -(-(INT8 / WEIGHTS).stat().st_size // PART_BYTES) + 2


LASTING: dict[str, tuple[Fault, str]] = {
    "cut": (cutting, "cannot be read (IncompleteRead"),
    "reset": (resetting, "cannot be read (Connection"),
    "SlowDown": (saying(503, "SlowDown"), "cannot be read (SlowDown)"),
    "HTML": (html, "cannot be read (NotS3)"),
    "noise": (noise, "cannot be read ("),
    "AccessDenied": (saying(403, "AccessDenied"), "is missing, or this function has no right to read it (s3:GetObject)"),
    "ExpiredToken": (saying(400, "ExpiredToken"), "cannot be read (ExpiredToken)"),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_read_that_fails_for_good_is_told(
    name: str, started: Callable[..., Service], proxy: FaultProxy, tmp_path: Path, refusal: Refusal
) -> None:
    """By the file's name and what S3 says; nothing of the file is left."""
    fault, ending = LASTING[name]
    proxy.fault = of_weights(fault)
    try:
        assert refusal(started()).startswith(f"The file {WEIGHTS} in MODEL_URI {ending}")
    finally:
        proxy.fault = none
    assert not any(WEIGHTS in name for name in left(tmp_path))


def test_an_object_that_changes_while_it_is_read_is_not_pieced_together(
    started: Callable[..., Service], proxy: FaultProxy, s3: LocalS3, prefix: str, refusal: Refusal
) -> None:
    """All parts are asked for as those of the version that the first was of."""
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
    """Upload something else in a file's place."""
    return lambda s3, prefix: s3.client().put_object(
        Bucket=s3.bucket, Key=f"{prefix}/{name}", Body=change((INT8 / name).read_bytes())
    )


def without(name: str) -> Damage:
    """Delete a file."""
    return lambda s3, prefix: s3.client().delete_object(Bucket=s3.bucket, Key=f"{prefix}/{name}")


def naming(name: str) -> Callable[[bytes], bytes]:
    """A manifest that names one more file."""

    def change(content: bytes) -> bytes:
        manifest = json.loads(content)
        return json.dumps(manifest | {"files": manifest["files"] | {name: "0" * 64}}).encode()

    return change


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no manifest": (without("manifest.json"), "The file manifest.json in MODEL_URI is missing"),
    "no weights": (without(WEIGHTS), f"The file {WEIGHTS} in MODEL_URI is missing"),
    "half of the weights": (
        replaced(WEIGHTS, lambda content: content[: len(content) // 2]),
        f"The file {WEIGHTS} in MODEL_URI is damaged, cut short or another model's: it has ",
    ),
    "one bit": (
        replaced(WEIGHTS, lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        f"The file {WEIGHTS} in MODEL_URI is damaged, cut short or another model's: it has ",
    ),
    "an empty tokenizer": (replaced("tokenizer.json", lambda _: b""), "The file tokenizer.json in MODEL_URI is empty"),
    "no JSON": (replaced("manifest.json", lambda _: b"\xff"), "manifest.json in MODEL_URI is not a model manifest"),
    "a way out": (replaced("manifest.json", naming("../../authorized_keys")), "manifest.json in MODEL_URI has no usable files"),
    "a file nobody has": (replaced("manifest.json", naming("more")), "The file more in MODEL_URI is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_not_the_model_of_the_manifest_is_told(
    name: str, started: Callable[..., Service], s3: LocalS3, prefix: str, tmp_path: Path, refusal: Refusal
) -> None:
    """In one sentence; what is left in /tmp are whole files or none."""
    damage, sentence = DAMAGES[name]
    damage(s3, prefix)
    assert refusal(started()).startswith(sentence)
    assert left(tmp_path) <= Manifest.read(INT8).files.keys()


PINNED = (
    "manifest.json is not the one that MODEL_SHA256 (the parameter ModelSha256, where it is deployed) names: "
    "if it is the one that is meant, that must be "
)
SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "another manifest": (
        {"MODEL_SHA256": "0" * 64},
        f"{PINNED}{Manifest.read(INT8).digest}",
    ),
    "no digest": ({"MODEL_SHA256": "latest"}, "MODEL_SHA256 must be 64 hexadecimal digits; it is 'latest'"),
    "no bucket": ({"MODEL_URI": "s3://nowhere/model"}, "The file manifest.json in MODEL_URI is missing: there is no such bucket"),
    "no prefix": ({"MODEL_URI": "s3://models"}, "MODEL_URI must be s3://bucket/prefix; it is 's3://models'"),
    "a way out": ({"MODEL_URI": "s3://models/../../x"}, "MODEL_URI must be s3://bucket/prefix; it is 's3://models/../../x'"),
    "no folder": ({"MODEL_TMP": "/dev/null"}, "The model cannot be written to /dev/null: Not a directory"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_cannot_be_used_is_told(name: str, started: Callable[..., Service], refusal: Refusal) -> None:
    """By its name and value, before any weights are fetched."""
    settings, sentence = SETTINGS[name]
    assert refusal(started(**settings)) == sentence


def test_the_digest_holds_for_a_model_in_a_layer_too(refusal: Refusal) -> None:
    """The one it names is served, and no other."""
    digest = Manifest.read(INT8).digest
    assert vector(serve(INT8, MODEL_SHA256=digest))
    assert refusal(serve(INT8, MODEL_SHA256="0" * 64)) == f"{PINNED}{digest}"


def test_where_nobody_listens(started: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    """The port of the discard protocol."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert refusal(started()) == "The file manifest.json in MODEL_URI cannot be read (EndpointConnectionError)"


def test_a_full_tmp_is_told(started: Callable[..., Service], s3: LocalS3, prefix: str, tmp_path: Path, refusal: Refusal) -> None:
    """The file is a device that is always full."""
    folder = tmp_path / "tmp" / s3.bucket / prefix
    folder.mkdir(parents=True)
    (folder / f"{WEIGHTS}.part").symlink_to("/dev/full")
    free = shutil.disk_usage(tmp_path).free // 1_000_000
    sentence = refusal(started())
    assert sentence.startswith(f"There is no space for the model in {tmp_path / 'tmp'}: ")
    assert abs(int(sentence.split()[-4]) - free) < 10_000  # others write there too
    assert WEIGHTS not in left(tmp_path)


def test_under_the_emulator_the_model_comes_from_s3(s3: LocalS3, prefix: str, service: Service, tmp_path: Path) -> None:
    """A failure has an id for the caller, and the log has its reason."""
    event = json.dumps({"inputs": "How is the weather?"}).encode()
    where = s3.environment | {"MODEL_DIR": "/nowhere", "MODEL_TMP": str(tmp_path / "tmp"), "CACHE_MEMORY_MB": "0"}
    with Emulator(env=os.environ | where | {"MODEL_URI": f"s3://{s3.bucket}/{prefix}"}) as function:
        reply = json.loads(function.invoke(event))
    assert np.array(reply, np.float32).tobytes() == vector(service)
    with Emulator(env=os.environ | where | {"MODEL_URI": f"s3://{s3.bucket}/elsewhere"}) as function:
        reply = json.loads(function.invoke(event))
        log = function.log
    assert reply["errorType"] == "Backend"
    told, _, incident = reply["errorMessage"].rpartition(" ")
    assert told == "The model cannot be served; the reason is in the log under"
    assert f'"incident": "{incident}", "reason": "The file manifest.json in MODEL_URI is missing"' in log
