"""A message that failed becomes visible again after a back-off, and a sink that is down for hours loses none of them."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from events.aws import LocalAWS
from handler.errors import Backend
from handler.functions.pipeline import make_handler
from handler.functions.setup import Setup
from handler.records import Failure
from handler.sources.visibility import ALL_SECONDS, MOST_SECONDS, backoff, giving_back
from tests.handler.functions.test_pipeline import answer_of
from tests.handler.known_events import EVENTS
from tests.handler.sinks.fake_api import fake_api
from tests.infra.transformed import transformed
from tests.pipelines.fakes import FakeService, Memory
from tests.pipelines.poller import Queue
from tests.secrecy import overheard

HOUR = 3600


def test_the_back_off_doubles_up_to_a_quarter_of_an_hour() -> None:
    """By the number of times that the message was received."""
    assert [backoff(receives) for receives in range(9)] == [15, 15, 30, 60, 120, 240, 480, MOST_SECONDS, MOST_SECONDS]
    assert backoff(10**9) == MOST_SECONDS == 900


def test_a_sink_that_is_down_for_two_and_a_half_hours_loses_no_message_to_the_dead_letters() -> None:
    """The waits before the last attempt, of `maxReceiveCount` attempts, add up to more, however short the attempts are."""
    queue = transformed()["Resources"]["SourceQueue"]["Properties"]
    attempts = queue["RedrivePolicy"]["maxReceiveCount"]
    assert sum(backoff(receives) for receives in range(1, attempts)) == 945 + 9 * 900 > 2.5 * HOUR
    # Killed functions leave the time-out to run out: even then the queue keeps the message long enough for all attempts.
    assert attempts * queue["VisibilityTimeout"] < queue["MessageRetentionPeriod"] / 2


def test_what_failed_for_now_is_given_back_by_its_receive_count_and_nothing_else_is() -> None:
    """The message that was done has its handle left alone: Lambda deletes it."""
    first, second = (json.loads(json.dumps(EVENTS["sqs"]["Records"][0])) for _ in range(2))
    first |= {"messageId": "done", "receiptHandle": "of the first", "body": "fine"}
    second |= {"messageId": "failed", "receiptHandle": "of the second", "body": "busy"}
    second["attributes"]["ApproximateReceiveCount"] = "4"
    with fake_api(lambda _: (200, {"Successful": [{"Id": "0"}]})) as api, pytest.MonkeyPatch.context() as environment:
        connected(environment, api.endpoint)
        reply = function(Memory(refused=["busy"]))({"Records": [first, second]}, None)
    assert reply == {"batchItemFailures": [{"itemIdentifier": "failed"}]}
    (request,) = api.requests
    assert request["QueueUrl"].endswith("/123456789012/" + first["eventSourceARN"].rpartition(":")[2])
    assert request["Entries"] == [{"Id": "0", "ReceiptHandle": "of the second", "VisibilityTimeout": 120}]


def test_all_messages_are_given_back_where_the_whole_event_fails() -> None:
    """In calls of ten, which is the most that SQS takes."""
    messages = [EVENTS["sqs"]["Records"][0] | {"messageId": str(number), "receiptHandle": str(number)} for number in range(25)]
    with fake_api(lambda _: (200, {})) as api, pytest.MonkeyPatch.context() as environment:
        connected(environment, api.endpoint)
        with pytest.raises(Backend):
            function(Broken())({"Records": messages}, None)
    assert [len(request["Entries"]) for request in api.requests] == [10, 10, 5]
    assert [entry["ReceiptHandle"] for request in api.requests for entry in request["Entries"]] == [str(n) for n in range(25)]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"Failed": [{"Id": "0", "Code": "InvalidParameterValue", "SenderFault": True}]}),
        (403, {"__type": "AccessDenied"}),
        (500, {}),
    ],
)
def test_where_messages_cannot_be_given_back_they_are_retried_by_the_queue_s_time_out(
    status: int, answer: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The reply is the same; the log says why."""
    with fake_api(lambda _: (status, answer)) as api, pytest.MonkeyPatch.context() as environment:
        connected(environment, api.endpoint)
        reply = function(Memory(refused=["sunny"]))(EVENTS["sqs"], None)
    assert reply == answer_of(Memory(refused=["sunny"]))(EVENTS["sqs"], None)
    assert len(reply["batchItemFailures"]) == 1
    assert "messages_not_given_back" in capsys.readouterr().err


def test_a_slow_queue_takes_no_more_than_seconds_of_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    """The function must answer before its time is over, or what was done is done again."""
    messages = [EVENTS["sqs"]["Records"][0] | {"messageId": str(number)} for number in range(500)]
    calls: list[int] = []

    class Slow:
        """A queue that takes a second a call."""

        meta = SimpleNamespace(endpoint_url="https://sqs.us-east-1.amazonaws.com")

        def change_message_visibility_batch(self, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - botocore's
            """Succeed, slowly."""
            del QueueUrl
            calls.append(len(Entries))
            time.sleep(1)
            return {}

    giving_back(connect=lambda *_, **__: Slow())({"Records": messages}, None)
    assert 1 <= len(calls) <= ALL_SECONDS + 1
    assert "TimeoutError" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["kinesis", "dynamodb", "sns", "eventbridge"])
def test_other_sources_have_no_visibility(name: str) -> None:
    """Nothing is called for them."""
    giving_back(connect=pytest.fail)(EVENTS[name], None)


@pytest.mark.parametrize("arn", [None, 3, "", "arn:aws:sqs:us-east-1:123456789012:../other", "arn:aws:sqs:us-east-1:1:queue"])
def test_an_address_that_is_no_queue_s_is_not_called(arn: object) -> None:
    """It is the event's, which whoever may invoke the function writes."""
    message = EVENTS["sqs"]["Records"][0] | {"eventSourceARN": arn}
    giving_back(connect=pytest.fail)({"Records": [message]}, None)


@pytest.mark.parametrize("name", ["waiting", "waiting.fifo"])
def test_a_message_given_back_is_received_again_long_before_its_visibility_time_out(aws: LocalAWS, name: str) -> None:
    """By moto's SQS: the queue's own time-out is an hour, and the delay a second here."""
    queue = Queue(aws.client("sqs"), name)
    queue.send([("a", "busy")])
    event = {"Records": queue.messages()}
    parts = Setup.of({"SINK": queue.url})
    sink = Memory(refused=["busy"])
    waiting = Setup(parts.settings, sink, None, parts.objects, parts.named_sink, giving_back(delay=lambda receives: receives))
    assert len(overheard(make_handler(FakeService(), waiting))(event, None)["batchItemFailures"]) == 1
    deadline = time.monotonic() + 60
    while not (found := queue.messages()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [message["body"] for message in found] == ["busy"]
    assert found[0]["attributes"]["ApproximateReceiveCount"] == "2"


class Broken(Memory):
    """A sink that breaks its promise never to raise."""

    def write(self, results: Any) -> list[Failure]:  # noqa: ANN401 - it never gets so far
        del results
        msg = "the sink is broken"
        raise Backend(msg)


def function(sink: Any) -> Any:  # noqa: ANN401 - any sink
    """The function with a sink of ours, which gives messages back as it does when deployed."""
    parts = Setup.of({})
    return overheard(make_handler(FakeService(), Setup(parts.settings, sink, None, parts.objects, parts.named_sink, giving_back())))


def connected(environment: pytest.MonkeyPatch, endpoint: str) -> None:
    """Let the function's clients find an API of ours."""
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    environment.setenv("AWS_ACCESS_KEY_ID", "local")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "local")
