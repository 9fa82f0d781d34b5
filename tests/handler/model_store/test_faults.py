"""A read of a model in S3 that fails is retried, and reported if it fails for good."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from handler.bucket import PART_BYTES
from handler.service import Service
from tests.conftest import INT8, LocalS3
from tests.faults.faults import html, noise, resetting, resetting_mid_body, truncating
from tests.faults.proxy import Exchange, Fault, FaultProxy, none
from tests.handler.model_store.stored import WEIGHTS, Refusal, fetched, file_names, vector


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


def test_an_endpoint_that_refuses_connections_is_reported(
    started: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    """No server listens at port 9."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert refusal(started()) == "The file manifest.json in MODEL_URI cannot be read (EndpointConnectionError)"
