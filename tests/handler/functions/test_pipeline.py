"""The pipeline function: which events it takes, how it responds to each kind, and which settings it refuses."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from handler import errors
from handler.functions.pipeline import from_environment
from handler.pipeline_settings import PipelineSettings, overlap
from tests.conftest import ROOT
from tests.handler.functions.fake_lambda import Context, answer_of
from tests.handler.known_events import EVENTS, STRANGERS
from tests.pipelines.fakes import FakeService, Kept, Memory, choking_on, without_model

WORDS = "Today is a sunny day and I will get some ice cream."


ANSWERS: dict[str, object] = {
    "sqs": {"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661970000001"}]},
    "sqs_fifo": {
        "batchItemFailures": [
            {"itemIdentifier": "059f36b4-87a3-44ab-83d2-661970000004"},
            {"itemIdentifier": "059f36b4-87a3-44ab-83d2-661970000006"},
            {"itemIdentifier": "059f36b4-87a3-44ab-83d2-661970000005"},
        ]
    },
    "kinesis": {"batchItemFailures": [{"itemIdentifier": EVENTS["kinesis"]["Records"][0]["kinesis"]["sequenceNumber"]}]},
    "dynamodb": {"batchItemFailures": [{"itemIdentifier": EVENTS["dynamodb"]["Records"][0]["dynamodb"]["SequenceNumber"]}]},
    "kafka": {"batchItemFailures": [{"itemIdentifier": {"partition": "documents-0", "offset": 15}}]},
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_source_that_reads_the_response_is_told_what_to_retry(name: str) -> None:
    """Of a queue each failed message is named, of a group the later ones as well, of a stream only the earliest."""
    sink = Memory(refused=["sunny"])
    assert answer_of(sink)(EVENTS[name], None) == ANSWERS[name]
    assert len(sink.ids) == {"sqs": 2}.get(name, 0 if name == "sqs_fifo" else 1)
    assert answer_of(Memory())(EVENTS[name], None) == {"batchItemFailures": []}


@pytest.mark.parametrize("name", ["sns", "eventbridge", "s3", "s3_eventbridge"])
def test_the_event_of_a_source_that_reads_no_response_is_retried_by_an_exception(name: str) -> None:
    """Step Functions and logs have the exception's name; its sentence contains no text of the user."""
    with pytest.raises(errors.Unfinished) as raised:
        answer_of(Memory(refused=["sunny", "line"]))(EVENTS[name], None)
    assert "sunny" not in str(raised.value)
    sink = Memory()
    assert answer_of(sink)(EVENTS[name], None) is None
    assert sink.ids


def test_the_test_event_of_s3_is_acknowledged() -> None:
    """S3 sends it when notifications are configured."""
    sink = Memory()
    assert answer_of(sink)(EVENTS["s3_test"], None) is None
    assert sink.ids == []


@pytest.mark.parametrize("name", ["sqs", "sns", "eventbridge", "s3", "kinesis", "dynamodb", "kafka"])
def test_without_a_sink_events_whose_response_holds_no_vectors_are_refused(name: str) -> None:
    """They are retried, so that none is lost."""
    with pytest.raises(errors.Backend, match=r"^SINK must be set for events of "):
        answer_of()(EVENTS[name], None)


def test_an_enrichment_has_the_length_and_the_order_of_its_event() -> None:
    """A failure is in its record's place."""
    event = [*EVENTS["pipes"], {"id": "c"}, EVENTS["dynamodb"]["Records"][3], *EVENTS["pipes"]]
    made = json.loads(answer_of()(event, None))
    assert [(one["id"], "embedding" in one) for one in made] == [
        ("059f36b4-87a3-44ab-83d2-661970000008", True),
        ("weather-2", True),
        ("c", False),
        ("weather-4", False),
        ("059f36b4-87a3-44ab-83d2-661970000008", True),
        ("weather-2", True),
    ]
    assert made[1]["metadata"] == {"language": "en"}
    assert made[2] == {"id": "c", "error": "`inputs` is missing", "error_type": "Empty"}
    assert made[3] == {"id": "weather-4", "skipped": "deleted"}
    assert json.loads(answer_of()([], None)) == []


def test_an_enrichment_with_a_transient_failure_is_retried_as_a_whole() -> None:
    """A pipe cannot retry a part of an event."""
    with pytest.raises(errors.Unfinished, match="the model is missing"):
        answer_of(service=FakeService(failing=without_model))(EVENTS["pipes"], None)


def test_a_batch_of_a_map_is_written_to_the_sink_it_names() -> None:
    """The response says how many were written and how many failed."""
    named, asked = Memory(), []

    def make(uri: str) -> Memory:
        asked.append(uri)
        return named

    event = {"BatchInput": {"sink": "s3://vectors/out", "text_field": "passage"}, "Items": EVENTS["distributed_map"]["Items"]}
    assert answer_of(Memory(), named=make)(event, None) == {"count": 2, "failed": 0}
    assert (asked, named.ids) == (["s3://vectors/out"], ["1", "2"])


def test_without_a_sink_the_response_to_a_batch_of_a_map_has_its_results() -> None:
    """Results that a state machine could not carry are refused before anything is embedded."""
    made = json.loads(answer_of()(EVENTS["distributed_map"], None))
    assert [(one["id"], len(one["embedding"])) for one in made] == [("1", 4), ("2", 4)]
    many = {"Items": [{"id": str(number), "inputs": "a"} for number in range(1000)]}
    with pytest.raises(errors.Validation, match=r"^the results of 1000 records could have \d+ bytes > 262144, "):
        answer_of()(many, None)


BAD = {"Items": [{"id": "a", "inputs": "good"}, {"id": "b", "inputs": "bad"}, {"id": "c"}]}


def test_a_batch_of_a_map_counts_the_records_that_went_to_the_failure_destination() -> None:
    """Without a failure destination it raises the first permanent failure, which Step Functions does not retry."""
    service, sink, kept = FakeService(failing=choking_on("bad")), Memory(), Kept()
    assert answer_of(sink, service, kept)(BAD, None) == {"count": 1, "failed": 2}
    assert kept.reasons == {"b": "no vector", "c": "`inputs` is missing"}
    with pytest.raises(errors.Backend, match=r"^2 of 3 records are not done, the first because: no vector$"):
        answer_of(sink, service)(BAD, None)
    with pytest.raises(errors.Unfinished, match="throttled"):
        answer_of(Memory(refused=["good"]), service, kept)(BAD, None)


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        (3, "`BatchInput` must be an object. Given: a number"),
        ({"sink": 3}, "`BatchInput.sink` must be a string. Given: a number"),
        ({"text_field": []}, "`BatchInput.text_field` must be a string. Given: a list"),
        ({"use_cache": "no"}, "`BatchInput.use_cache` must be true or false. Given: a string"),
        ({"seconds": "9"}, "`BatchInput.seconds` must be a number above 0, at most 86400. Given: a string of 1 character"),
        ({"seconds": 0}, "`BatchInput.seconds` must be a number above 0, at most 86400. Given: 0"),
        ({"seconds": True}, "`BatchInput.seconds` must be a number above 0, at most 86400. Given: a boolean"),
        ({"seconds": 10**400}, "`BatchInput.seconds` must be a number above 0, at most 86400. Given: a number"),
        (
            {"started": "yesterday"},
            "`BatchInput.started` must be a time as Step Functions writes it, 2026-11-28T18:52:55.123Z. Given: a string",
        ),
        (
            {"started": 3},
            "`BatchInput.started` must be a time as Step Functions writes it, 2026-11-28T18:52:55.123Z. Given: a number",
        ),
    ],
)
def test_a_batch_of_a_map_that_is_malformed_is_refused(batch: object, sentence: str) -> None:
    """The sentence has the field and the type that was given."""
    with pytest.raises(errors.Validation, match=f"^{sentence}$"):
        answer_of()({"BatchInput": batch, "Items": []}, None)


@pytest.mark.parametrize(
    ("batch", "cached"), [({}, 0), ({"use_cache": None}, 0), ({"use_cache": False}, 0), ({"use_cache": True}, 2)]
)
def test_a_corpus_is_not_cached_unless_its_batches_say_so(batch: dict[str, bool], cached: int) -> None:
    """Ten million rows would cost four times as much as their vectors. A record's own `use_cache` has precedence."""
    items = [
        {"inputs": "one"},
        {"inputs": "two", "use_cache": None},
        {"inputs": "never", "use_cache": False},
        {"inputs": "always", "use_cache": True},
    ]
    service = FakeService()
    answer_of(Memory(), service)({"BatchInput": batch, "Items": items}, None)
    assert sum(len(texts) for texts, options in service.asked if options.use_cache) == cached + 1


def test_a_plain_invocation_has_an_outcome_for_each_record_in_its_place() -> None:
    """The pipeline takes plain invocations as the HTTP function does."""
    made = json.loads(answer_of()(EVENTS["records"], None))
    assert [(one["id"], len(one.get("embedding", ()))) for one in made] == [("weather-1", 4), ("weather-2", 4), ("weather-3", 0)]
    assert made[2]["error_type"] == "Empty"
    assert len(json.loads(answer_of()({"inputs": ["a", "b"]}, None))) == 2


STRANGE: dict[str, object] = {"half of a surrogate pair": "\ud800", "a number of more than 64 bits": 2**70}


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
def test_no_value_next_to_a_text_fails_a_record(value: object) -> None:
    """JSON may hold it, so it is returned unchanged, and the other records are embedded as well."""
    items = [{"id": "a", "inputs": "a"}, {"id": "b", "inputs": "b", "beside": value}]
    for event in ({"records": items}, {"Items": items}, items):
        made = json.loads(answer_of()(event, None))
        assert [(one["id"], len(one["embedding"])) for one in made] == [("a", 4), ("b", 4)]
        assert made[1]["metadata"] == {"beside": value}


def test_ids_count_when_the_size_of_a_response_is_checked() -> None:
    """The response repeats them."""
    with pytest.raises(errors.Validation, match=r"^the response for 100 records could have \d+ bytes > "):
        answer_of()({"records": [{"id": "x" * 100_000, "inputs": "a"}] * 100}, None)


@pytest.mark.parametrize("name", STRANGERS)
def test_an_event_of_no_known_source_is_refused_by_name(name: str) -> None:
    """The exception is permanent: a retry would not help."""
    with pytest.raises(errors.Validation, match=r"^This function takes .* Given: "):
        answer_of(Memory())(STRANGERS[name], None)


def test_the_time_left_is_respected() -> None:
    """Records that are not done are retried, before Lambda would stop the function."""
    records = [EVENTS["sqs"]["Records"][0] | {"messageId": str(number), "body": f"text {number}"} for number in range(2000)]
    sink = Memory()
    reply = answer_of(sink, FakeService(seconds=0.002))({"Records": records}, Context(1))
    assert 0 < len(sink.ids) < 2000
    assert len(sink.ids) + len(reply["batchItemFailures"]) == 2000


def seconds_ago(seconds: float) -> str:
    """Return a time as Step Functions writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    "batch",
    [{"started": seconds_ago(1000), "seconds": 210}, {"started": seconds_ago(209.9), "seconds": 209.9}],
    ids=["long over", "just over"],
)
def test_a_batch_whose_state_has_no_time_left_is_unfinished_before_it_starts(batch: dict[str, object]) -> None:
    """Lambda would give it 15 minutes, but the state's own time-out would end it without an error name to match."""
    sink, service = Memory(), FakeService()
    event = {"BatchInput": batch, "Items": EVENTS["distributed_map"]["Items"]}
    with pytest.raises(errors.Unfinished, match=r"^2 of 2 records are not done, the first because: the time ran out$"):
        answer_of(sink, service)(event | {"Items": [{"inputs": "a"}, {"inputs": "b"}]}, Context(900))
    assert (sink.ids, service.asked) == ([], [])


@pytest.mark.parametrize(
    ("batch", "seconds"),
    [
        ({}, 900),
        ({"seconds": 210}, 210),
        ({"started": seconds_ago(-86_400), "seconds": 210}, 210),
        ({"started": "2020-01-01T00:00:00Z"}, 900),
        ({"seconds": 86_400}, 900),
    ],
    ids=["neither", "not started", "clocks differ", "no seconds", "more than Lambda's"],
)
def test_a_batch_has_the_smaller_of_its_own_time_and_the_function_s(batch: dict[str, object], seconds: float) -> None:
    """The service's deadline is that time without the margin for writing."""
    deadlines: list[float] = []

    class Watched(FakeService):
        def embed(self, texts: Any, options: Any, deadline: float = 0) -> Any:  # noqa: ANN401 - as the service
            deadlines.append(deadline)
            return super().embed(texts, options, deadline)

    before = time.monotonic()
    answer_of(Memory(), Watched())({"BatchInput": batch, "Items": [{"inputs": "a"}]}, Context(900))
    (deadline,) = deadlines
    assert before + seconds - 10 <= deadline <= time.monotonic() + seconds - 10


def test_an_unforeseen_exception_is_an_internal_error_with_an_id() -> None:
    """It contains nothing of the user's text."""

    class Broken(Memory):
        def write(self, results: Any) -> Any:  # noqa: ANN401 - it never gets so far
            del results
            raise RuntimeError(WORDS)

    with pytest.raises(errors.Internal, match=r"^Internal error; its id in the log is [0-9a-f]{12}$"):
        answer_of(Broken())(EVENTS["sqs"], None)


LOOPS = [
    ("s3://b/in", "s3://b/in", True),
    ("s3://b/in/", "s3://b/in/out", True),
    ("s3://b/in", "s3://b/in-vectors", True),
    ("s3://b", "s3://b/out", True),
    ("s3://b/in/", "s3://b", True),
    ("s3://b/in/", "s3://b/out?format=parquet", False),
    ("s3://b", "s3://b2/out", False),
    ("s3://b/in/", "s3://b/in-vectors", False),
    ("https://sqs.us-east-1.amazonaws.com/123456789012/a", "https://sqs.us-east-1.amazonaws.com/123456789012/a", True),
    ("https://sqs.us-east-1.amazonaws.com/123456789012/a", "https://sqs.us-east-1.amazonaws.com/123456789012/ab", False),
]


@pytest.mark.parametrize(("place", "output", "loops"), LOOPS)
def test_output_that_would_be_read_again_is_refused_at_the_start(place: str, output: str, *, loops: bool) -> None:
    """A prefix of S3 is no folder: the prefix `in` includes `in-vectors/`."""
    assert overlap(place, output) == loops
    for name in ("SINK", "FAILURE_DESTINATION"):
        read = partial(PipelineSettings.from_environment, {"INPUT": f"s3://other, {place}", name: output})
        if loops:
            with pytest.raises(errors.Backend, match=rf"^{name} .* must lie outside of INPUT "):
                read()
        else:
            read()


def test_a_batch_may_not_name_a_sink_that_would_be_read_again() -> None:
    """It is checked against INPUT, as the settings are."""
    event = {"BatchInput": {"sink": "s3://b/in/vectors"}, "Items": []}
    with pytest.raises(errors.Backend, match=r"^BatchInput\.sink s3://b/in/vectors must lie outside of INPUT s3://b/in/: "):
        from_environment({"INPUT": "s3://b/in/"}, FakeService())(event, None)


# Handles events with the handler that template.yaml names, and prints which modules of the HTTP framework were imported.
FRESH = """
import json, sys
from handler.functions.pipeline import handler
print([len(json.loads(handler(json.load(open(f"events/{name}.json")), None))) for name in ("records", "pipes")])
print([name for name in ("fastapi", "starlette", "mangum", "pydantic", "anyio") if name in sys.modules])
"""


def test_the_pipeline_never_imports_the_http_framework() -> None:
    """The import would take 300 ms of every cold start."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        cwd=ROOT,
        env={"MODEL_DIR": str(ROOT / "build/model")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[3, 2]", "[]"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SINK": "ftp://b"}, "SINK must be .* it is 'ftp://b'"),
        ({"SINK": "s3://b/in", "INPUT": "s3://b/in/"}, "SINK s3://b/in must lie outside of INPUT s3://b/in/: .*"),
    ],
)
def test_an_unusable_setting_is_reported_to_every_caller(settings: dict[str, str], sentence: str) -> None:
    """No event is acknowledged."""
    with pytest.raises(errors.Backend, match=f"^{sentence}$"):
        from_environment(settings, FakeService())(EVENTS["sqs"], None)
