"""Queues, topics and buses: one message a record, in batches that the service takes."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from events.aws import LocalAWS
from handler.records import Failure
from handler.sinks import failure_destination_from, sink_from
from tests.handler.sinks.fake_api import fake_api
from tests.handler.sinks.results import result, results

MIB = 1024 * 1024
QUEUE = "http://127.0.0.1/123456789012/vectors"
BUS = "arn:aws:events:us-east-1:123456789012:event-bus/default"


@pytest.fixture
def sqs(aws: LocalAWS) -> Any:  # noqa: ANN401 - botocore's
    """A client."""
    return aws.client("sqs")


def new_queue(sqs: Any, ending: str = "", **attributes: str) -> str:  # noqa: ANN401 - botocore's
    """An empty queue's URL."""
    url: str = sqs.create_queue(QueueName=uuid4().hex + ending, Attributes=attributes)["QueueUrl"]
    return url


def received(sqs: Any, url: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - botocore's
    """The messages of a queue, deleted."""
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]).get(
        "Messages"
    ):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield message


def test_each_result_is_a_message_of_a_queue(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """In three calls, ten being the most that one takes."""
    url = new_queue(sqs)
    sent = results(23)
    assert sink_from(url).write(sent) == []
    bodies = {body["id"]: body for body in (json.loads(message["Body"]) for message in received(sqs, url))}
    assert bodies.keys() == {one.record.id for one in sent}
    assert all(np.array_equal(np.array(bodies[one.record.id]["embedding"], np.float32), one.vector) for one in sent)


def test_large_messages_share_no_call_that_would_be_over_the_limit(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """Each fits alone; moto, as SQS does, refuses a call over the limit."""
    url = new_queue(sqs)
    assert sink_from(url).write([result(str(number), pad="x" * 200_000) for number in range(10)]) == []
    assert len(list(received(sqs, url))) == 10


def test_a_message_over_the_limit_is_refused_for_good_and_holds_up_no_other(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """Trying again would not make it smaller."""
    url = new_queue(sqs)
    (failure,) = sink_from(url).write([result("a"), result("large", pad="x" * MIB), result("b")])
    assert (failure.id, failure.transient, failure.error_type) == ("large", False, "Validation")
    assert failure.error.startswith("The message of the record has 10")
    assert failure.error.endswith("bytes; the destination takes 1048576")
    assert len(list(received(sqs, url))) == 2


def test_a_fifo_queue_takes_a_repeat_once(sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """The same message has the same deduplication id, each record a group of its own."""
    url = new_queue(sqs, ".fifo", FifoQueue="true")
    for _ in range(2):
        assert sink_from(url).write(results(3)) == []
    messages = list(received(sqs, url))
    assert [json.loads(message["Body"])["id"] for message in messages] == ["0", "1", "2"]
    assert len({message["Attributes"]["MessageGroupId"] for message in messages}) == 3


def test_characters_that_sqs_does_not_take_are_escaped(aws: LocalAWS) -> None:
    """JSON may have characters that XML 1.0 may not."""
    del aws
    with fake_api(lambda asked: (200, {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]]})) as api:
        assert _to(api.endpoint, QUEUE, [result("a", note="\uffff \ufffe \x00 \ud7ff")]) == []
        body = api.requests[0]["Entries"][0]["MessageBody"]
        assert not {"\uffff", "\ufffe", "\x00"} & set(body)
        assert json.loads(body)["metadata"] == {"note": "\uffff \ufffe \x00 \ud7ff"}


def _to(endpoint: str, uri: str, written: list[Any]) -> list[Failure]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        return sink_from(uri).write(written)


PARTLY = {
    "Successful": [{"Id": "0"}],
    "Failed": [
        {"Id": "1", "Code": "AWS.SimpleQueueService.InternalError", "SenderFault": False},
        {"Id": "2", "Code": "InvalidMessageContents", "SenderFault": True},
    ],
}


def test_a_queue_that_takes_a_part_of_a_batch_has_the_rest_named(aws: LocalAWS) -> None:
    """The fourth is not spoken of at all, and so was not surely sent."""
    del aws
    with fake_api(lambda _: (200, PARTLY)) as api:
        failures = _to(api.endpoint, QUEUE, results(4))
    assert [(failure.id, failure.transient) for failure in failures] == [("1", True), ("2", False), ("3", True)]
    assert failures[1].error == "The queue vectors did not take it: InvalidMessageContents"


@pytest.mark.parametrize(
    "uri", [QUEUE, BUS, "s3vectors://vectors/index", "arn:aws:events:eu-west-1:123456789012:event-bus/a/b"], ids=str
)
def test_a_service_that_only_fails_has_every_record_tried_again(uri: str, aws: LocalAWS) -> None:
    """Missing rights are not the fault of a record."""
    del aws
    with fake_api(lambda _: (403, {"__type": "AccessDeniedException", "message": "no"})) as api:
        failures = _to(api.endpoint, uri, results(11))
    assert [failure.id for failure in failures] == [str(number) for number in range(11)]
    assert all(failure.transient and failure.error.endswith("AccessDeniedException") for failure in failures)


@pytest.mark.parametrize("uri", [QUEUE, BUS], ids=str)
def test_an_answer_that_says_nothing_is_no_success(uri: str, aws: LocalAWS) -> None:
    """As botocore gives it where the body is cut."""
    del aws
    with fake_api(lambda _: (200, {})) as api:
        assert all(failure.transient for failure in _to(api.endpoint, uri, results(3)))
        assert len(_to(api.endpoint, uri, results(3))) == 3


def test_each_result_is_an_event_on_a_bus(aws: LocalAWS, sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """A rule that matches the source has them all."""
    url = new_queue(sqs)
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events = aws.client("events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["embeddings-on-lambda"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": queue}])
    sent = results(12)
    assert sink_from(BUS).write(sent) == []
    got = [json.loads(message["Body"]) for message in received(sqs, url)]
    events.remove_targets(Rule="all", Ids=["queue"])
    assert {event["detail-type"] for event in got} == {"Embedding"}
    assert sorted(event["detail"]["id"] for event in got) == sorted(one.record.id for one in sent)


def test_a_bus_that_takes_a_part_of_a_batch_has_the_rest_named(aws: LocalAWS) -> None:
    """Answers come in the order of the events."""
    del aws
    answers = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}, {"ErrorCode": "MalformedDetail"}]
    with fake_api(lambda _: (200, {"FailedEntryCount": 2, "Entries": answers})) as api:
        failures = _to(api.endpoint, BUS, results(3))
    assert [(failure.id, failure.transient) for failure in failures] == [("1", True), ("2", False)]
    assert failures[0].error == "The event bus default did not take it: ThrottlingException"


def test_events_are_put_within_the_limits_of_a_call(aws: LocalAWS) -> None:
    """Ten events, less than 1 MB in all."""
    del aws
    with fake_api(lambda asked: (200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}] * len(asked["Entries"])})) as api:
        (failure,) = _to(
            api.endpoint, BUS, [result(str(number), pad="x" * 300_000) for number in range(7)] + [result("l", pad="x" * MIB)]
        )
    assert (failure.id, failure.transient) == ("l", False)
    assert [len(asked["Entries"]) for asked in api.requests] == [3, 3, 1]


def test_a_topic_takes_failures(aws: LocalAWS, sqs: Any) -> None:  # noqa: ANN401 - botocore's
    """In two calls."""
    url = new_queue(sqs)
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns = aws.client("sns")
    topic = sns.create_topic(Name="failures")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    failed = [(Failure(str(number), "No.", "Validation", transient=False), {"id": number}) for number in range(12)]
    assert failure_destination_from(topic).write(failed) == []
    assert len(list(received(sqs, url))) == 12
