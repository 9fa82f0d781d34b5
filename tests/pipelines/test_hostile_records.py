"""One record never blocks its neighbours: whatever a stranger sends is written, recorded as a failure, or returned for retry."""

import base64
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.errors import Empty, Unfinished, Validation
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.kinds import PIPELINE, kind_of, resolve
from handler.pipeline.ports import ObjectStore
from handler.pipeline_settings import PipelineSettings
from handler.records import Failure, Result, Skipped, StoredObject
from handler.sinks.failures import to_body
from handler.sinks.s3_vectors import to_storable
from handler.sinks.shard_formats import FORMATS
from handler.sources.continuations import records
from tests.handler.fake_objects import Queue
from tests.handler.sources.aggregation import aggregated
from tests.pipelines.fakes import FakeService, Kept
from tests.pipelines.hostile_events import ACKNOWLEDGED, ANSWERED, ANY_JSON, GOOD, HOSTILE, event, nested

EXAMPLES = int(os.environ.get("HOSTILE_RECORDS", "40"))
"""Examples of each test; `make soak` has more."""
QUEUE_BYTES = 1024 * 1024
service = partial(FakeService, settings=FakeService().settings, manifest=FakeService().manifest)
"""Makes a service; the model's manifest is read once."""


@dataclass
class Written:
    """A sink that encodes results in every format of the real sinks, and checks that their JSON is valid."""

    results: list[Result] = field(default_factory=list)

    def write(self, results: Sequence[Result]) -> list[Failure]:
        for line in FORMATS["jsonl"](results, "float32").splitlines():
            json.loads(line, parse_constant=pytest.fail)
        FORMATS["parquet"](results, "float32")
        for result in results:
            json.dumps(to_storable(result.record.metadata), allow_nan=False)
        self.results += results
        return []


@dataclass
class Recorded(Kept):
    """A failure destination that encodes failures like the real ones, and checks their size and their JSON."""

    def write(self, failures: Sequence[tuple[Failure, object]]) -> list[Failure]:
        for failure, original in failures:
            body = to_body(failure, original, QUEUE_BYTES)
            assert len(body) <= QUEUE_BYTES
            json.loads(body, parse_constant=pytest.fail)
        return super().write(failures)


def parts(sink: Written | None, kept: Kept, objects: ObjectStore | None = None) -> Setup:
    """Make the function's parts of fakes."""
    made = sink or Written()
    return Setup(PipelineSettings.from_environment({}), sink, kept, objects or Queue(lines=1).objects, lambda _: made)


FIELDS = ["body", "attributes", "eventSourceARN", "Sns", "kinesis", "dynamodb", "eventName", "eventID", "value", "offset"]
ODD = st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=1)


@pytest.mark.parametrize("name", ACKNOWLEDGED)
@settings(max_examples=EXAMPLES)
@given(hostile=st.lists(HOSTILE, min_size=1, max_size=4), odd=ODD)
@example(hostile=[{"inputs": "x", "deep": nested(9_000)}], odd={})
@example(hostile=["[" * 9_994 + "]" * 9_994, '{"inputs": "x", "a": ' + "[" * 9_994 + "]" * 9_994 + "}"], odd={})
@example(hostile=[{"inputs": "x", "a": float("nan"), "b": 2**70}], odd={})
@example(hostile=[{"id": "x" * 1_048_000, "inputs": 1}], odd={})
@example(hostile=[{"id": "\x00" * 180_000, "inputs": 1}], odd={})
def test_every_record_is_written_recorded_or_returned_and_a_good_neighbour_is_written(
    name: str, hostile: list[object], odd: dict[str, object]
) -> None:
    """Sources whose events hold several records get any JSON in the records, and in the fields that the source itself writes."""
    source, sink, kept = ACKNOWLEDGED[name], Written(), Recorded()
    found = source.make([*hostile, GOOD], odd)
    names = source.names(found)[
        1 if odd.keys() & {"Sns", "kinesis", "dynamodb", "offset"} else 0 :
    ]  # these fields hold the first record's name
    returned: set[object] = set()
    try:
        reply = make_handler(service(), parts(sink, kept))(found, None)
        failed = [one["itemIdentifier"] for one in (reply or {"batchItemFailures": []})["batchItemFailures"]]
        returned = {one["offset"] if isinstance(one, dict) else one for one in failed}
    except Unfinished:
        returned = set(names)
    written = {result.record.origin.message for result in sink.results}
    recorded = {failure.origin.message for failure, _ in kept.failures}
    contents = list(resolve(kind_of(found, PIPELINE).records)(found, "inputs"))
    skipped = {one.origin.message for one in contents if isinstance(one, Skipped | StoredObject)}
    assert set(names) <= written | recorded | returned | skipped
    assert len(contents) > len(hostile)
    assert ("good", GOOD["inputs"]) in {(result.record.id, result.record.text) for result in sink.results}


@pytest.mark.parametrize("name", ANSWERED)
@settings(max_examples=EXAMPLES)
@given(hostile=st.lists(HOSTILE, min_size=1, max_size=4))
@example(hostile=[{"inputs": "x", "eventSource": "aws:sqs"}])
@example(hostile=[{"inputs": "x", "a": float("nan"), "b": 2**70}])
@example(hostile=[{"inputs": "x", "deep": nested(9_000)}, nested(9_000)])
@example(hostile=[{"id": "x" * 100_000, "inputs": "y"}])
def test_every_record_of_a_reply_has_its_own_outcome_in_its_position(name: str, hostile: list[object]) -> None:
    """One failed record does not fail the event, and the reply is valid JSON."""
    reply = make_handler(service(), parts(None, Recorded()))(ANSWERED[name]([*hostile, GOOD]), None)
    outcomes = json.loads(reply, parse_constant=pytest.fail)
    assert len(outcomes) == len(hostile) + 1
    assert all({"embedding"} <= one.keys() or {"error", "error_type"} <= one.keys() or "skipped" in one for one in outcomes)
    assert (outcomes[-1]["id"], len(outcomes[-1]["embedding"])) == ("good", 4)


@settings(max_examples=EXAMPLES)
@given(HOSTILE)
@example({"inputs": "x", "deep": nested(9_000)})
def test_the_detail_of_an_event_is_written_or_recorded(detail: object) -> None:
    """An event of EventBridge holds one record."""
    sink, kept = Written(), Recorded()
    make_handler(service(), parts(sink, kept))(event("eventbridge") | {"detail": detail}, None)
    assert len(sink.results) + len(kept.failures) == 1


@settings(max_examples=EXAMPLES)
@given(st.lists(HOSTILE, min_size=1, max_size=4), st.binary(max_size=30))
@example([{"inputs": "x", "deep": nested(900)}], b"\xff")
@example([{"id": "x" * 1_048_000, "inputs": 1}], b"")
def test_every_line_of_an_object_is_written_or_recorded(hostile: list[object], raw: bytes) -> None:
    """One of the lines has bytes that are not text."""
    sink, kept = Written(), Recorded()
    lines = [json.dumps(one).encode() for one in (*hostile, GOOD)] + [b"x" + raw.replace(b"\n", b""), json.dumps(GOOD).encode()]
    stored = {"Body": io.BytesIO(b"\n".join(lines)), "ETag": "e"}
    client = type("S3", (), {"get_object": lambda _, **__: stored})()
    objects = ObjectStore(partial(records, client, text_field="inputs"), lambda *_: False, lambda _: False)
    make_handler(service(), parts(sink, kept, objects))(event("s3"), None)
    assert [result.record.id for result in sink.results].count("good") == 2
    assert len(sink.results) + len(kept.failures) == len(lines)


@settings(max_examples=EXAMPLES)
@given(ANY_JSON, ANY_JSON)
def test_no_event_of_any_shape_is_an_internal_error(one: object, other: object) -> None:
    """An event is refused with a sentence, or its source gets a reply."""
    kafka = {"eventSource": "aws:kafka", "records": {"t-0": [one, {"value": other}]}}
    for found in (one, {"Records": [one]}, {"eventSource": one, "source": other}, {"requestContext": one, "Records": other}, kafka):
        with suppress(Validation, Empty, Unfinished):
            make_handler(service(), parts(Written(), Recorded()))(found, None)


def test_an_aggregated_record_without_records_is_recorded_as_a_failure() -> None:
    """It must not count as done without a trace."""
    sink, kept = Written(), Recorded()
    found = ACKNOWLEDGED["Kinesis, aggregated"].make([GOOD, GOOD], {})
    found["Records"][0]["kinesis"]["data"] = base64.b64encode(aggregated([])).decode()
    assert make_handler(service(), parts(sink, kept))(found, None) == {"batchItemFailures": []}
    assert (len(sink.results), len(kept.failures)) == (1, 1)
