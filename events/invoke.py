"""Send one event to its function under AWS's Runtime Interface Emulator; show the response, the log and the REPORT line.

The table in handler/kinds.py says which function an event is for. If that is the pipeline function, and the environment names no
SINK, the vectors are written to a bucket on this machine and are shown as well, and so are the records that failed.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from events import http_api
from events.aws import LocalAWS
from events.emulator import Emulator, EmulatorError
from handler.kinds import PIPELINE, function_of

LONG = 8
"""The most numbers of a list that is shown in full."""


def shown(value: object) -> str:
    """Return JSON that is easy to read: each vector has a line of its own, with its first numbers and its length."""
    match value:
        case [float() | int() as first, float() | int() as second, *_] if len(value) > LONG:
            return f"[{first:.4g}, {second:.4g}, … {len(value)} floats]"
        case [[*_], *_]:
            return "[" + ",\n ".join(map(shown, value)) + "]"
        case [*_]:
            return "[" + ", ".join(map(shown, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(name)}: {shown(item)}" for name, item in value.items()) + "}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def lines_of(reply: bytes, *, full: bool) -> Iterator[str]:
    """Yield the lines of a response: status and headers if it is an HTTP response, then the body."""
    returned = _parsed(reply)
    if _is_http(returned):
        yield f"HTTP {returned['statusCode']}"
        yield from _headers(returned)
        yield ""
        reply = http_api.decode_body(returned)
        returned = _parsed(reply)
    yield reply.decode(errors="replace") if full or returned is None else shown(returned)


def succeeded(reply: bytes) -> bool:
    """Return True if a response has an HTTP status below 400, or is JSON that is no error."""
    returned = _parsed(reply)
    if _is_http(returned):
        return int(returned["statusCode"]) < 400  # noqa: PLR2004 - the first status that is an error
    return reply == b"null" or (returned is not None and not (isinstance(returned, dict) and "errorMessage" in returned))


def _parsed(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_http(returned: object) -> bool:
    return isinstance(returned, dict) and "statusCode" in returned


def _headers(returned: dict[str, Any]) -> Iterator[str]:
    """Yield the headers of a response: those of one value (`headers`), of several (`multiValueHeaders`), and cookies."""
    several = returned.get("multiValueHeaders") or {}
    for name, value in (returned.get("headers") or {}).items():
        if name not in several:
            yield f"{name}: {value}"
    for name, values in several.items():
        yield from (f"{name}: {value}" for value in values)
    yield from (f"set-cookie: {cookie}" for cookie in returned.get("cookies") or [])


@contextmanager
def _environment(function: str) -> Iterator[tuple[Mapping[str, str], list[str]]]:
    """Provide a function's environment, and a list that is filled after the block: the lines that it wrote to the local bucket."""
    written: list[str] = []
    if function != PIPELINE or "SINK" in os.environ:
        yield os.environ, written
        return
    with LocalAWS() as aws:
        s3 = aws.client("s3")
        for bucket in (INPUT, OUTPUT, FAILURES):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=INPUT, Key=DOCUMENT, Body=PASSAGES)
        of_buckets = {"SINK": f"s3://{OUTPUT}", "FAILURE_DESTINATION": f"s3://{FAILURES}", "INPUT": f"s3://{INPUT}"}
        yield {**os.environ, **aws.environment, **of_buckets}, written
        for bucket in (OUTPUT, FAILURES):
            for found in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                written.append(f"s3://{bucket}/{found['Key']}")
                lines = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read().splitlines()
                written += [shown(json.loads(line)) for line in lines]


INPUT, OUTPUT, FAILURES = "documents", "vectors", "failures"
DOCUMENT = "in/two passages.jsonl"
PASSAGES = b"""\
{"id": "weather-1", "inputs": "Today is a sunny day and I will get some ice cream."}
{"id": "weather-2", "inputs": "It rained all morning, so the picnic moved indoors."}
"""
"""The object that the events of S3 in this folder name."""


def _event(path: Path) -> bytes:
    try:
        event = path.read_bytes()
        json.loads(event)
    except OSError as error:
        sys.exit(f"Cannot read the event {path}: {error.strerror}.")
    except ValueError as error:
        sys.exit(f"The event {path} is not JSON: {error}.")
    return event


def main() -> None:
    """Read the command line, invoke once, print; exit 1 if the handler failed or refused."""
    parser = argparse.ArgumentParser(prog="python -m events.invoke", description="Run one event under AWS's emulator.")
    parser.add_argument("event", type=Path, help="a JSON file, such as events/http_api_v2.json")
    parser.add_argument("--full", action="store_true", help="print the body as it is, vectors unshortened")
    arguments = parser.parse_args()
    event = _event(arguments.event)
    try:
        function = function_of(json.loads(event))
        handler = f"handler.functions.{function}.handler"
        with _environment(function) as (environment, written), Emulator(handler, env=environment) as emulator:
            reply = emulator.invoke(event)
            log = [*emulator.init_reports, *emulator.output]
    except EmulatorError as error:
        sys.exit(str(error))
    except TimeoutError:
        sys.exit("The emulator did not reply within 60 s.")
    except KeyboardInterrupt:
        sys.exit(130)
    print("\n".join(lines_of(reply, full=arguments.full)))
    if written:
        print("\n" + "\n".join(written))
    print("\n" + "\n".join(log))
    sys.exit(0 if succeeded(reply) else 1)


if __name__ == "__main__":
    main()
