"""The table of events: every row is true, and every event has one row."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.errors import Validation
from handler.kinds import API, HTTP, KINDS, PIPELINE, Kind, describe, find, function_of, kind_of, resolve
from tests.conftest import ROOT
from tests.handler.known_events import EVENTS, HTTP_EVENTS, NOT_HTTP, STRANGERS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)
OF_HTTP_FUNCTION = {*HTTP_EVENTS, "direct", "records"}


def takers(event: object) -> list[Kind]:
    """The rows whose predicate is true for an event."""
    return [kind for kind in KINDS if resolve(kind.matches)(event)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_name_in_the_table_can_be_imported(kind: Kind) -> None:
    """A row's names are imported when its first event arrives, which is too late to find a spelling mistake."""
    named = [
        kind.matches,
        kind.make_handler,
        *([kind.records, kind.reply] if kind.make_handler.endswith("messages:make_handler") else []),
    ]
    assert all(callable(resolve(name)) for name in named)
    assert set(kind.functions) <= {API, PIPELINE}
    assert all((ROOT / f"handler/functions/{function}.py").exists() for function in kind.functions)


def test_every_kind_has_an_event_that_is_tried() -> None:
    """A source without an event in events/ is tried by no test of all sources."""
    assert {kind.name for event in EVENTS.values() for kind in takers(event)} == {kind.name for kind in KINDS}


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_of_ours_has_one_kind_and_goes_to_its_function(name: str) -> None:
    """`make invoke` sends it there."""
    (kind,) = takers(EVENTS[name])
    assert find(EVENTS[name]) is kind
    assert (kind is HTTP) == (name in HTTP_EVENTS)
    assert function_of(EVENTS[name]) == (API if name in OF_HTTP_FUNCTION else PIPELINE)


@pytest.mark.parametrize("name", STRANGERS)
def test_events_of_other_kinds_have_none_and_are_refused_by_name(name: str) -> None:
    """Some look like one of ours."""
    event = STRANGERS[name]
    assert takers(event) == []
    sources = "SQS, SNS, EventBridge, S3, Kinesis, DynamoDB Streams, Kafka, EventBridge Pipes and Step Functions"
    with pytest.raises(Validation) as refused:
        kind_of(event, PIPELINE)
    assert (
        str(refused.value)
        == f'This function takes {{"inputs": …}}, {{"records": […]}} and events of {sources}. Given: {describe(event)}'
    )


@pytest.mark.parametrize("name", [name for name in EVENTS if name not in OF_HTTP_FUNCTION])
def test_the_http_function_refuses_events_of_the_pipeline(name: str) -> None:
    """It has no sink."""
    with pytest.raises(
        Validation, match=r"^This function takes HTTP requests, \{\"inputs\": …\} and \{\"records\": \[…\]\}\. Given: "
    ):
        kind_of(EVENTS[name], API)


def test_the_pipeline_refuses_http_requests_and_names_the_function_that_takes_them() -> None:
    """A wrong integration of API Gateway is found by reading the log."""
    for name in HTTP_EVENTS:
        with pytest.raises(Validation, match=r"Given: an HTTP request, which handler\.functions\.api takes$"):
            kind_of(EVENTS[name], PIPELINE)


def test_an_event_is_described_by_its_service_and_never_by_its_contents() -> None:
    """Descriptions get into logs."""
    assert describe(NOT_HTTP["WebSocket"]) == "a WebSocket message"
    assert describe({"awslogs": {"data": "secret"}}) == "a CloudWatch Logs subscription"
    assert describe(STRANGERS["Amazon MQ"]) == "an MQ batch"
    assert describe(STRANGERS["a tumbling window"]).startswith("a batch of a tumbling window: remove it")
    assert describe({"CodePipeline.job": "secret"}) == "an event with the fields 'CodePipeline.job'"
    assert describe({"name": "secret"}) == "an event with the fields 'name'"
    assert describe({}) == "an event with the fields none"
    assert describe("secret") == "a string"


@given(st.sampled_from(sorted(EVENTS)), st.sampled_from(sorted(EVENTS)), JSON)
def test_no_mixture_of_events_has_two_kinds(one: str, other: str, extra: Any) -> None:  # noqa: ANN401 - any JSON
    """Fields of another source, or any others, next to those of a source."""
    mixed = EVENTS[one] | EVENTS[other] if isinstance(EVENTS[one], dict) and isinstance(EVENTS[other], dict) else extra
    assert len([kind for kind in takers(mixed) if kind is not HTTP]) <= 1


# Prints the modules of event sources and of functions that are imported to find the kind of an event.
FRESH = """
import json, sys
from handler.kinds import API, find
name = sys.argv[1]
print(find(json.load(open(f"events/{name}.json")), API).name)
print(*sorted(module for module in sys.modules if module.startswith(("handler.sources", "handler.functions", "handler.http"))))
"""


@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_to_recognise_an_http_request_no_event_source_is_imported(name: str) -> None:
    """It would be a part of every cold start."""
    command = [sys.executable, "-c", FRESH, name]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["HTTP", ""]


def test_the_table_itself_imports_nothing_but_errors() -> None:
    """Every function imports it first."""
    program = "import sys, handler.kinds; print(json.dumps(sorted(m for m in sys.modules if m.startswith('handler.'))))"
    done = subprocess.run(
        [sys.executable, "-c", f"import json; {program}"], cwd=ROOT, env={}, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == ["handler.errors", "handler.kinds"]
