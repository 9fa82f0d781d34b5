"""Dead letters of a stack are returned to where they came from: to moto's queues and streams, and to a function in this process."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import botocore.session
import pytest
from botocore.stub import Stubber

from events.aws import LocalAWS
from events.redrive import Stack, redrive_invocations, redrive_queue, redrive_rules, redrive_stream
from handler.kinds import PIPELINE, Event, kind_of, resolve
from tests.pipelines.lambda_front import LambdaFront

QUEUES = ("SourceQueue", "DeadLetters", "RuleDeadLetters", "StreamDeadLetters")
type Given = tuple[LocalAWS, Stack, LambdaFront]


@pytest.fixture(scope="module")
def own_aws() -> Iterator[LocalAWS]:
    """Start AWS's services for this file alone, because each of its tests deletes everything in them first."""
    with LocalAWS() as aws:
        yield aws


@pytest.fixture
def given(own_aws: LocalAWS) -> Iterator[Given]:
    """Provide a stack's queues and its function, which keeps its events."""
    aws = own_aws
    with urlopen(Request(f"{aws.endpoint}/moto-api/reset", method="POST"), timeout=60):  # noqa: S310 - of this machine
        pass
    with LambdaFront() as front:
        front.upstream = aws.port
        sqs = aws.client("sqs")
        outputs = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in QUEUES} | {"PipelineFunction": "pipeline"}

        def client(service: str) -> Any:  # noqa: ANN401 - botocore's
            if service != "lambda":
                return aws.client(service)
            session = botocore.session.get_session()
            session.set_credentials("local", "local")
            return session.create_client(service, "us-east-1", endpoint_url=f"http://127.0.0.1:{front.port}")

        yield aws, Stack(outputs, client), front


def letter(given: Given, queue: str, body: object) -> None:
    """Put a dead letter into a queue."""
    aws, stack, _ = given
    aws.client("sqs").send_message(QueueUrl=stack.outputs[queue], MessageBody=json.dumps(body))


def held(given: Given, queue: str) -> list[Any]:
    """Return the visible messages of a queue."""
    aws, stack, _ = given
    found = aws.client("sqs").receive_message(QueueUrl=stack.outputs[queue], MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in found.get("Messages", [])]


def count(given: Given, queue: str) -> int:
    """Count the messages of a queue, visible or not."""
    aws, stack, _ = given
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=stack.outputs[queue], AttributeNames=names)["Attributes"]
    return sum(map(int, attributes.values()))


def reply_with(given: Given, reply: Callable[[Any], Any]) -> list[Any]:
    """Have the function return a reply; return the list of the events that it gets."""
    events: list[Any] = []

    def function(event: Event, _: object) -> object:
        events.append(event)
        return reply(event)

    given[2].function = function
    return events


def test_messages_of_the_queue_are_moved_back_by_sqs() -> None:
    """Moto has no StartMessageMoveTask, so the call is checked against AWS's own description of it."""
    session = botocore.session.get_session()
    session.set_credentials("local", "local")
    sqs = session.create_client("sqs", "us-east-1")
    arn = "arn:aws:sqs:us-east-1:123456789012:letters"
    with Stubber(sqs) as stub:
        stub.add_response(
            "get_queue_attributes", {"Attributes": {"QueueArn": arn}}, {"QueueUrl": "https://queue", "AttributeNames": ["QueueArn"]}
        )
        stub.add_response("start_message_move_task", {"TaskHandle": "handle"}, {"SourceArn": arn})
        assert redrive_queue(Stack({"QueueDeadLetters": "https://queue"}, lambda _: sqs)).startswith("SQS moves them")
        stub.assert_no_pending_responses()


def test_events_that_eventbridge_could_not_send_are_sent_to_the_queue(given: Given) -> None:
    """The dead letter is the event itself."""
    event = {"detail-type": "Object Created", "detail": {"object": {"key": "new/a.jsonl"}}}
    letter(given, "RuleDeadLetters", event)
    assert redrive_rules(given[1]) == "1 put back, 0 left"
    assert held(given, "SourceQueue") == [event]
    assert count(given, "RuleDeadLetters") == 0


def test_failed_asynchronous_invocations_are_invoked_again(given: Given) -> None:
    """Lambda's record of the failure has the event."""
    event = {"Records": [{"Sns": {"Message": "text"}}]}
    record = {"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event, "responsePayload": {}}
    events = reply_with(given, lambda _: None)
    letter(given, "DeadLetters", record)
    assert redrive_invocations(given[1]) == "1 put back, 0 left"
    assert events == [event]
    assert count(given, "DeadLetters") == 0


def kinesis(aws: LocalAWS) -> dict[str, Any]:
    """Put three records into a stream; return a dead letter about the last two."""
    client = aws.client("kinesis")
    client.create_stream(StreamName="texts", ShardCount=1)
    written = [client.put_record(StreamName="texts", Data=text, PartitionKey="p") for text in (b"one", b"two", b"three")]
    arn = client.describe_stream_summary(StreamName="texts")["StreamDescriptionSummary"]["StreamARN"]
    numbers = [record["SequenceNumber"] for record in written]
    return {"KinesisBatchInfo": place(written[0]["ShardId"], numbers, arn)}


def table(aws: LocalAWS) -> dict[str, Any]:
    """Put three items into a table with a stream; return a dead letter about the last two."""
    client = aws.client("dynamodb")
    client.create_table(
        TableName="things", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )  # fmt: skip
    for text in ("one", "two", "three"):
        client.put_item(TableName="things", Item={"id": {"S": text}, "inputs": {"S": text}, "raw": {"B": b"\x00"}})
    arn = client.describe_table(TableName="things")["Table"]["LatestStreamArn"]
    streams = aws.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    found = streams.get_records(ShardIterator=iterator)["Records"]
    return {"DDBStreamBatchInfo": place(shard, [record["dynamodb"]["SequenceNumber"] for record in found], arn)}


def place(shard: str, numbers: list[str], arn: str) -> dict[str, Any]:
    """Describe the last two of three records as Lambda describes a failed batch."""
    return {
        "shardId": shard, "startSequenceNumber": numbers[1], "endSequenceNumber": numbers[2], "batchSize": 2, "streamArn": arn,
    }  # fmt: skip


@pytest.mark.parametrize(("made", "source"), [(kinesis, "Kinesis"), (table, "DynamoDB Streams")], ids=["kinesis", "table"])
def test_records_of_a_stream_are_read_again(given: Given, made: Callable[[LocalAWS], dict[str, Any]], source: str) -> None:
    """They have the same names as in Lambda's events, so that a vector is overwritten and not added."""
    letter(given, "StreamDeadLetters", made(given[0]))
    events = reply_with(given, lambda _: {"batchItemFailures": []})
    assert redrive_stream(given[1]) == "1 put back, 0 left"
    kind = kind_of(events[0], PIPELINE)
    assert kind.name == source
    assert len(list(resolve(kind.records)(events[0], "inputs"))) == 2
    assert [str(record["eventSourceARN"]) for record in events[0]["Records"]]
    assert count(given, "StreamDeadLetters") == 0


def test_a_dead_letter_that_fails_again_stays_in_its_queue(given: Given) -> None:
    """The command prints the reason."""
    letter(given, "StreamDeadLetters", kinesis(given[0]))
    reply_with(given, lambda event: {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["kinesis"]["sequenceNumber"]}]})
    assert redrive_stream(given[1]).startswith("0 put back, 1 left\n  left: failed again from record ")
    assert count(given, "StreamDeadLetters") == 1


def test_a_dead_letter_whose_records_the_stream_no_longer_has_stays_in_its_queue(given: Given) -> None:
    """Nothing else is left of these records."""
    made = kinesis(given[0])
    made["KinesisBatchInfo"]["batchSize"] = 3
    letter(given, "StreamDeadLetters", made)
    assert redrive_stream(given[1]) == "0 put back, 1 left\n  left: the stream has 2 of its 3 records left"
    assert count(given, "StreamDeadLetters") == 1
