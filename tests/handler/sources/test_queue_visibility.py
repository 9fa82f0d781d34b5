"""A failed message becomes visible again after a back-off, and a sink that is down for hours loses no message."""

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
from handler.sources.queue_visibility import ALL_SECONDS, MOST_SECONDS, backoff_seconds, make_give_back
from tests.handler.functions.fake_lambda import answer_of
from tests.handler.known_events import EVENTS
from tests.handler.sinks.fake_api import fake_api
from tests.infra.transformed import transformed
from tests.pipelines.fakes import FakeService, Memory
from tests.pipelines.poller import Queue
from tests.secrecy import overheard

HOUR = 3600


def test_the_back_off_doubles_up_to_a_quarter_of_an_hour() -> None:
    """It depends on how many times the message was received."""
    assert [backoff_seconds(receives) for receives in range(9)] == [15, 15, 30, 60, 120, 240, 480, MOST_SECONDS, MOST_SECONDS]
    assert backoff_seconds(10**9) == MOST_SECONDS == 900


def test_no_message_becomes_a_dead_letter_while_a_sink_is_down_for_two_and_a_half_hours() -> None:
    """The back-offs before the last of `maxReceiveCount` attempts add up to more than that."""
    queue = transformed()["Resources"]["SourceQueue"]["Properties"]
    attempts = queue["RedrivePolicy"]["maxReceiveCount"]
    assert sum(backoff_seconds(receives) for receives in range(1, attempts)) == 945 + 9 * 900 > 2.5 * HOUR
    # If every function is killed, each attempt takes a whole visibility time-out. The queue keeps the message long enough for that.
    assert attempts * queue["VisibilityTimeout"] < queue["MessageRetentionPeriod"] / 2


def test_only_failed_messages_are_given_back_with_a_back_off_by_their_receive_count() -> None:
    """Lambda deletes the other message, which is done."""
    first, second = (json.loads(json.dumps(EVENTS["sqs"]["Records"][0])) for _ in range(2))
    first |= {"messageId": "done", "receiptHandle": "of the first", "body": "fine"}
    second |= {"messageId": "failed", "receiptHandle": "of the second", "body": "busy"}
    second["attributes"]["ApproximateReceiveCount"] = "4"
    with fake_api(lambda _: (200, {"Successful": [{"Id": "0"}]})) as api, pytest.MonkeyPatch.context() as environment:
        connect_to(environment, api.endpoint)
        reply = function(Memory(refused=["busy"]))({"Records": [first, second]}, None)
    assert reply == {"batchItemFailures": [{"itemIdentifier": "failed"}]}
    (request,) = api.requests
    assert request["QueueUrl"].endswith("/123456789012/" + first["eventSourceARN"].rpartition(":")[2])
    assert request["Entries"] == [{"Id": "0", "ReceiptHandle": "of the second", "VisibilityTimeout": 120}]


def test_all_messages_are_given_back_if_the_whole_event_fails() -> None:
    """One call carries ten messages."""
    messages = [EVENTS["sqs"]["Records"][0] | {"messageId": str(number), "receiptHandle": str(number)} for number in range(25)]
    with fake_api(lambda _: (200, {})) as api, pytest.MonkeyPatch.context() as environment:
        connect_to(environment, api.endpoint)
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
def test_the_reply_is_the_same_if_messages_cannot_be_given_back(
    status: int, answer: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The queue's own time-out applies then, and the log says why."""
    with fake_api(lambda _: (status, answer)) as api, pytest.MonkeyPatch.context() as environment:
        connect_to(environment, api.endpoint)
        reply = function(Memory(refused=["sunny"]))(EVENTS["sqs"], None)
    assert reply == answer_of(Memory(refused=["sunny"]))(EVENTS["sqs"], None)
    assert len(reply["batchItemFailures"]) == 1
    assert "messages_not_given_back" in capsys.readouterr().err


def test_a_slow_queue_delays_the_reply_by_seconds_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    """The function must reply before its time-out, or the whole event is retried."""
    messages = [EVENTS["sqs"]["Records"][0] | {"messageId": str(number)} for number in range(500)]
    calls: list[int] = []

    class Slow:
        """A client of SQS whose calls take a second each."""

        meta = SimpleNamespace(endpoint_url="https://sqs.us-east-1.amazonaws.com")

        def change_message_visibility_batch(self, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - botocore's
            """Succeed, slowly."""
            del QueueUrl
            calls.append(len(Entries))
            time.sleep(1)
            return {}

    make_give_back(connect=lambda *_, **__: Slow())({"Records": messages}, None)
    assert 1 <= len(calls) <= ALL_SECONDS + 1
    assert "TimeoutError" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["kinesis", "dynamodb", "sns", "eventbridge"])
def test_nothing_is_given_back_to_other_sources(name: str) -> None:
    """Only queues have a visibility time-out."""
    make_give_back(connect=pytest.fail)(EVENTS[name], None)


@pytest.mark.parametrize("arn", [None, 3, "", "arn:aws:sqs:us-east-1:123456789012:../other", "arn:aws:sqs:us-east-1:1:queue"])
def test_an_arn_that_names_no_queue_is_not_called(arn: object) -> None:
    """Everybody who may invoke the function can write any ARN into an event."""
    message = EVENTS["sqs"]["Records"][0] | {"eventSourceARN": arn}
    make_give_back(connect=pytest.fail)({"Records": [message]}, None)


@pytest.mark.parametrize("name", ["waiting", "waiting.fifo"])
def test_a_message_given_back_is_received_again_long_before_its_visibility_time_out(aws: LocalAWS, name: str) -> None:
    """With moto's SQS: the queue's own time-out is an hour, and the back-off is a second."""
    queue = Queue(aws.client("sqs"), name)
    queue.send([("a", "busy")])
    event = {"Records": queue.messages()}
    parts = Setup.of({"SINK": queue.url})
    sink = Memory(refused=["busy"])
    waiting = Setup(parts.settings, sink, None, parts.objects, parts.named_sink, make_give_back(delay=lambda receives: receives))
    assert len(overheard(make_handler(FakeService(), waiting))(event, None)["batchItemFailures"]) == 1
    deadline = time.monotonic() + 60
    while not (found := queue.messages()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [message["body"] for message in found] == ["busy"]
    assert found[0]["attributes"]["ApproximateReceiveCount"] == "2"


class Broken(Memory):
    """A sink that raises, which sinks must not."""

    def write(self, results: Any) -> list[Failure]:  # noqa: ANN401 - never used
        del results
        msg = "the sink is broken"
        raise Backend(msg)


def function(sink: Any) -> Any:  # noqa: ANN401 - any sink
    """Make the pipeline function with this sink. It gives messages back as it does when deployed."""
    parts = Setup.of({})
    return overheard(
        make_handler(FakeService(), Setup(parts.settings, sink, None, parts.objects, parts.named_sink, make_give_back()))
    )


def connect_to(environment: pytest.MonkeyPatch, endpoint: str) -> None:
    """Make the fake API the endpoint of the function's clients."""
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    environment.setenv("AWS_ACCESS_KEY_ID", "local")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "local")
