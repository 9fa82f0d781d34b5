"""A bus gets one event for each record, in batches that EventBridge accepts."""

import json

import pytest

from events.aws import LocalAWS
from handler.sinks import sink_from
from tests.handler.sinks.fake_api import fake_api, write_to
from tests.handler.sinks.queues import arn_of, new_queue, received
from tests.handler.sinks.results import result, results

BUS = "arn:aws:events:us-east-1:123456789012:event-bus/default"


def test_each_result_becomes_an_event_on_the_bus(aws: LocalAWS) -> None:
    """A rule that matches the source receives all of them."""
    sqs, events = aws.client("sqs"), aws.client("events")
    url = new_queue(sqs)
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["embeddings-on-lambda"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn_of(sqs, url)}])
    sent = results(12)
    assert sink_from(BUS).write(sent) == []
    got = [json.loads(message["Body"]) for message in received(sqs, url)]
    events.remove_targets(Rule="all", Ids=["queue"])
    assert {event["detail-type"] for event in got} == {"Embedding"}
    assert sorted(event["detail"]["id"] for event in got) == sorted(one.record.id for one in sent)


def test_an_event_that_the_bus_refuses_is_a_failure(aws: LocalAWS) -> None:
    """EventBridge reports the events of a call in their order."""
    del aws
    entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}, {"ErrorCode": "MalformedDetail"}]
    with fake_api(lambda _: (200, {"FailedEntryCount": 2, "Entries": entries})) as api:
        failures = write_to(api, BUS, results(3))
    assert [(failure.id, failure.transient) for failure in failures] == [("1", True), ("2", False)]
    assert failures[0].error == "The event bus default did not accept it: ThrottlingException"


def test_events_are_put_within_the_limits_of_a_call(aws: LocalAWS) -> None:
    """A call carries ten events, and less than 1 MB in all."""
    del aws
    written = [*(result(str(number), pad="x" * 300_000) for number in range(7)), result("large", pad="x" * 1024 * 1024)]
    with fake_api(lambda asked: (200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}] * len(asked["Entries"])})) as api:
        (failure,) = write_to(api, BUS, written)
    assert (failure.id, failure.transient) == ("large", False)
    assert [len(asked["Entries"]) for asked in api.requests] == [3, 3, 1]


@pytest.mark.parametrize("uri", [BUS, "arn:aws:events:eu-west-1:123456789012:event-bus/a/b"], ids=str)
@pytest.mark.parametrize(
    ("status", "response"),
    [(200, {}), (403, {"__type": "AccessDeniedException", "message": "no"})],
    ids=["an empty response", "no right"],
)
def test_every_event_of_a_call_that_failed_is_retried(uri: str, status: int, response: dict[str, str], aws: LocalAWS) -> None:
    """If a connection breaks, botocore can return a response without any fields."""
    del aws
    with fake_api(lambda _: (status, response)) as api:
        failures = write_to(api, uri, results(11))
    assert [(failure.id, failure.transient) for failure in failures] == [(str(number), True) for number in range(11)]
