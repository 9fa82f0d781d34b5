"""A record whose text is split has one outcome in a response, and the options of splitting are checked at the start."""

import json
from dataclasses import replace

import pytest

from events.aws import LocalAWS
from handler import errors
from handler.functions.api import make_handler
from handler.functions.setup import Setup
from handler.service import Service
from tests.handler.functions.fake_lambda import answer_of
from tests.handler.known_events import EVENTS
from tests.pipelines.deployment import function
from tests.pipelines.fakes import FakeService, Memory, choking_on

LONG = " ".join(f"word{number}" for number in range(70))
RECORDS = [{"id": "a", "inputs": LONG, "chunk_tokens": 32, "chunk_text": True}, {"id": "b", "inputs": LONG}]


def test_a_response_has_the_chunks_of_a_record_in_its_place() -> None:
    """Other records have their vector, as without splitting."""
    split, whole = json.loads(answer_of()({"records": RECORDS}, None))
    assert (split["id"], [chunk["id"] for chunk in split["chunks"]]) == ("a", ["a#0", "a#1", "a#2"])
    first, second = split["chunks"][:2]
    assert first["metadata"] == {
        "document": "a",
        "chunk": 0,
        "chunks": 3,
        "start": 0,
        "end": second["metadata"]["start"] - 1,
        "text": LONG[: first["metadata"]["end"]],
    }
    assert len(first["embedding"]) == len(whole["embedding"])


def test_an_enrichment_keeps_the_length_of_its_event() -> None:
    """A pipe's target gets one element for each record."""
    made = json.loads(answer_of()(RECORDS, None))
    assert [one["id"] for one in made] == ["a", "b"]
    assert len(made[0]["chunks"]) == 3


def test_the_http_function_splits_the_records_of_plain_invocations(service: Service) -> None:
    """It has no settings for it: only records ask."""
    split, whole = json.loads(make_handler(service, None)({"records": RECORDS}, None))
    assert len(split["chunks"]) > 3
    assert len(whole["embedding"]) == 384


def test_a_batch_of_a_map_counts_records_and_writes_chunks() -> None:
    """A record fails as a whole."""
    sink = Memory()
    assert answer_of(sink)({"Items": RECORDS}, None) == {"count": 2, "failed": 0}
    assert sink.ids == ["b", "a#0", "a#1", "a#2"]
    service = FakeService(failing=choking_on("word69"))
    with pytest.raises(errors.Backend, match=r"^2 of 2 records are not done, the first because: no vector \(chunk 2\)$"):
        answer_of(Memory(), service)({"Items": RECORDS}, None)


def test_chunks_count_when_the_size_of_a_response_is_checked() -> None:
    """Each of them has a vector."""
    many = [{"id": str(number), "inputs": " ".join(["word"] * 3200), "chunk_tokens": 32} for number in range(200)]
    service = FakeService()
    service.manifest = replace(service.manifest, dimension=384)
    with pytest.raises(errors.Validation, match="records"):
        answer_of(service=service)({"records": many}, None)
    assert service.calls == []


def test_a_deleted_object_in_a_pipe_is_skipped() -> None:
    """It has no lines that could be too many."""
    event = json.loads(json.dumps(EVENTS["s3"]).replace("ObjectCreated:Put", "ObjectRemoved:Delete"))
    (made,) = json.loads(answer_of()([json.dumps(event)], None))
    assert made["skipped"] == "deleted"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"CHUNK_TOKENS": "31"}, "CHUNK_TOKENS must be at least 32, or 0 for no splitting. Given: 31"),
        ({"CHUNK_TOKENS": "64", "CHUNK_OVERLAP": "33"}, "CHUNK_OVERLAP must be from 0 to half of CHUNK_TOKENS. Given: 33"),
        ({"CHUNK_TEXT": "maybe"}, "CHUNK_TEXT must be true or false; it is 'maybe'"),
        (
            {"CHUNK_TOKENS": "64", "SINK": "dynamodb://embedding"},
            "SINK dynamodb://embedding takes one vector for each record, and CHUNK_TOKENS is 64: "  # noqa: ISC004
            "remove CHUNK_TOKENS, or name another sink",
        ),
    ],
)
def test_settings_of_splitting_that_cannot_be_used_are_refused_at_the_start(
    aws: LocalAWS, settings: dict[str, str], sentence: str
) -> None:
    """The sentence names the setting."""
    del aws
    with pytest.raises(errors.Backend) as refused:
        Setup.of(settings)
    assert str(refused.value) == sentence


def test_a_batch_of_a_map_may_not_name_a_sink_that_takes_no_chunks(aws: LocalAWS, service: Service) -> None:
    """The deployment splits texts."""
    del aws
    batch = {"BatchInput": {"sink": "dynamodb://embedding"}, "Items": RECORDS}
    with pytest.raises(errors.Backend, match=r"^BatchInput\.sink dynamodb://embedding takes one vector for each record"):
        function(service, CHUNK_TOKENS="64")(batch, None)
