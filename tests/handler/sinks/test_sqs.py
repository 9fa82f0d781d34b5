"""A queue gets one message for each record, in batches that SQS accepts."""

import json
from typing import Any

import numpy as np
import pytest

from events.aws import LocalAWS
from handler.sinks import sink_from
from tests.handler.sinks.fake_api import fake_api, write_to
from tests.handler.sinks.queues import QUEUE, new_queue, received
from tests.handler.sinks.results import result, results

MIB = 1024 * 1024


@pytest.fixture
def sqs(aws: LocalAWS) -> Any:  # noqa: ANN401 - botocore's
    """A client of moto's SQS."""
    return aws.client("sqs")


def test_each_result_becomes_a_message_of_the_queue(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """23 messages take three calls: one call carries ten."""
    url = new_queue(sqs)
    sent = results(23)
    assert sink_from(url).write(sent) == []
    bodies = {body["id"]: body for body in (json.loads(message["Body"]) for message in received(sqs, url))}
    assert bodies.keys() == {one.record.id for one in sent}
    assert all(np.array_equal(np.array(bodies[one.record.id]["embedding"], np.float32), one.vector) for one in sent)


def test_large_messages_are_spread_over_calls_within_the_limit(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """Each of them fits alone. Like SQS, moto refuses a call over the limit."""
    url = new_queue(sqs)
    assert sink_from(url).write([result(str(number), pad="x" * 200_000) for number in range(10)]) == []
    assert len(list(received(sqs, url))) == 10


def test_a_message_over_the_limit_is_refused_permanently_and_the_others_are_sent(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """A retry would not make it smaller."""
    url = new_queue(sqs)
    (failure,) = sink_from(url).write([result("a"), result("large", pad="x" * MIB), result("b")])
    assert (failure.id, failure.transient, failure.error_type) == ("large", False, "Validation")
    assert failure.error.startswith("The message of the record has 10")
    assert failure.error.endswith("bytes; the destination takes at most 1048576")
    assert len(list(received(sqs, url))) == 2


def test_a_fifo_queue_keeps_a_repeated_message_once(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """The same message has the same deduplication id, and each record is a group of its own."""
    url = new_queue(sqs, ".fifo", FifoQueue="true")
    for _ in range(2):
        assert sink_from(url).write(results(3)) == []
    messages = list(received(sqs, url))
    assert [json.loads(message["Body"])["id"] for message in messages] == ["0", "1", "2"]
    assert len({message["Attributes"]["MessageGroupId"] for message in messages}) == 3


def test_characters_that_sqs_refuses_are_escaped(aws: LocalAWS) -> None:
    """JSON may contain characters that XML 1.0, and so SQS, does not allow."""
    del aws
    with fake_api(lambda asked: (200, {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]]})) as api:
        assert write_to(api, QUEUE, [result("a", note="\uffff \ufffe \x00 \ud7ff")]) == []
        body = api.requests[0]["Entries"][0]["MessageBody"]
        assert not {"\uffff", "\ufffe", "\x00"} & set(body)
        assert json.loads(body)["metadata"] == {"note": "\uffff \ufffe \x00 \ud7ff"}


PARTLY = {
    "Successful": [{"Id": "0"}],
    "Failed": [
        {"Id": "1", "Code": "AWS.SimpleQueueService.InternalError", "SenderFault": False},
        {"Id": "2", "Code": "InvalidMessageContents", "SenderFault": True},
    ],
}


def test_a_message_that_the_queue_does_not_list_as_sent_is_a_failure(aws: LocalAWS) -> None:
    """The fourth message is not listed at all, so it may not have been sent."""
    del aws
    with fake_api(lambda _: (200, PARTLY)) as api:
        failures = write_to(api, QUEUE, results(4))
    assert [(failure.id, failure.transient) for failure in failures] == [("1", True), ("2", False), ("3", True)]
    assert failures[1].error == "The queue vectors did not accept it: InvalidMessageContents"


def test_every_message_of_a_call_that_failed_is_retried(aws: LocalAWS) -> None:
    """Eleven messages take two calls, and both fail."""
    del aws
    with fake_api(lambda _: (403, {"__type": "AccessDeniedException", "message": "no"})) as api:
        failures = write_to(api, QUEUE, results(11))
    assert [failure.id for failure in failures] == [str(number) for number in range(11)]
    assert all(failure.transient and failure.error.endswith("AccessDeniedException") for failure in failures)


def test_an_empty_response_is_no_success(aws: LocalAWS) -> None:
    """If a connection breaks, botocore can return a response without any fields."""
    del aws
    with fake_api(lambda _: (200, {})) as api:
        failures = write_to(api, QUEUE, results(3))
    assert [failure.transient for failure in failures] == [True] * 3
