"""Put back the dead letters of a deployed stack, each kind in its own way. Run it, by `make redrive`, when the cause is removed.

- QueueDeadLetters: messages of the queue. SQS itself moves them back (StartMessageMoveTask).
- RuleDeadLetters: events that EventBridge could not send to the queue. They are sent to it.
- DeadLetters: asynchronous invocations. The function is invoked again with the same event.
- StreamDeadLetters: places in a stream. Their records are read again, if the stream still has them, and the function is invoked.

A dead letter is deleted after it was put back. If that fails, it stays in its queue.
"""

import argparse
import base64
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

type Client = Any
"""A client of botocore, which makes the classes at run time."""

BATCH = 10
"""The most messages in one call of ReceiveMessage."""
HIDDEN_SECONDS = 960
"""The visibility time-out of a received message: as long as an invocation can take, and a minute more."""


class NotPutBack(Exception):  # noqa: N818 - it is the outcome of one message
    """A dead letter could not be put back; the text says why."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The outputs of a deployed stack, and the function that makes clients of AWS's services."""

    outputs: dict[str, str]
    client: Callable[[str], Client]

    @classmethod
    def of(cls, name: str, client: Callable[[str], Client]) -> "Stack":
        """Read a stack's outputs from CloudFormation."""
        (stack,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        return cls({output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}, client)

    def invoke(self, event: object, kind: str) -> Any:  # noqa: ANN401 - whatever the function returns
        """Invoke the pipeline function with an event, in the invocation type `kind`; return its response."""
        response = self.client("lambda").invoke(
            FunctionName=self.outputs["PipelineFunction"], InvocationType=kind, Payload=json.dumps(event).encode()
        )
        payload = response["Payload"].read()
        if response.get("FunctionError"):
            msg = f"the function failed: {json.loads(payload).get('errorType', 'Unknown')}"
            raise NotPutBack(msg)
        return json.loads(payload or b"null")


def redrive_queue(stack: Stack) -> str:
    """Make SQS move the dead letters of the queue back to the queue."""
    sqs = stack.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=stack.outputs["QueueDeadLetters"], AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    sqs.start_message_move_task(SourceArn=arn)
    return "SQS moves them; `aws sqs list-message-move-tasks` shows its progress"


def redrive_rules(stack: Stack) -> str:
    """Send the events that EventBridge could not send to the queue."""

    def send(body: str) -> None:
        stack.client("sqs").send_message(QueueUrl=stack.outputs["SourceQueue"], MessageBody=body)

    return _each(stack, "RuleDeadLetters", send)


def redrive_invocations(stack: Stack) -> str:
    """Invoke the function again with the event of each failed asynchronous invocation."""
    return _each(stack, "DeadLetters", lambda body: stack.invoke(json.loads(body)["requestPayload"], "Event"))


def redrive_stream(stack: Stack) -> str:
    """Read the failed records of a stream again, and invoke the function with them."""

    def retry(body: str) -> None:
        letter = json.loads(body)
        name = next(name for name in READERS if name in letter)
        place = letter[name]
        records = list(READERS[name](stack.client, place))
        if len(records) < place["batchSize"]:
            msg = f"the stream has {len(records)} of its {place['batchSize']} records left"
            raise NotPutBack(msg)
        reply = stack.invoke({"Records": records}, "RequestResponse")
        if failures := reply["batchItemFailures"]:
            msg = f"failed again from record {failures[0]['itemIdentifier']} on"
            raise NotPutBack(msg)

    return _each(stack, "StreamDeadLetters", retry)


def _each(stack: Stack, name: str, put_back: Callable[[str], object]) -> str:
    """Put back the messages of a queue of dead letters; return the number that were put back, and the reasons for the others."""
    sqs, url = stack.client("sqs"), stack.outputs[name]
    done, left = 0, []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=BATCH, VisibilityTimeout=HIDDEN_SECONDS).get(
        "Messages"
    ):
        for message in messages:
            try:
                put_back(message["Body"])
            except (NotPutBack, ClientError) as error:
                left.append(error.response["Error"]["Code"] if isinstance(error, ClientError) else str(error))
                continue
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            done += 1
    return f"{done} put back, {len(left)} left" + "".join(f"\n  left: {reason}" for reason in left)


def _kinesis(client: Callable[[str], Client], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records of a Kinesis stream as Lambda sends them."""
    kinesis, shard, arn = client("kinesis"), place["shardId"], place["streamArn"]
    iterator = kinesis.get_shard_iterator(
        StreamName=arn.rpartition("/")[2],
        StreamARN=arn,
        ShardId=shard,
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=place["startSequenceNumber"],
    )["ShardIterator"]
    for record in _until(lambda iterator: kinesis.get_records(ShardIterator=iterator), iterator, place, _kinesis_number):
        yield {
            "eventSource": "aws:kinesis",
            "eventID": f"{shard}:{record['SequenceNumber']}",
            "eventSourceARN": arn,
            "kinesis": {
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"],
                "data": base64.b64encode(record["Data"]).decode(),
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
            },
        }


def _kinesis_number(record: dict[str, Any]) -> int:
    return int(record["SequenceNumber"])


def _table(client: Callable[[str], Client], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records of a table's stream as Lambda sends them."""
    streams, arn = client("dynamodbstreams"), place["streamArn"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn,
        ShardId=place["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=place["startSequenceNumber"],
    )["ShardIterator"]
    for record in _until(lambda iterator: streams.get_records(ShardIterator=iterator), iterator, place, _table_number):
        yield _plain(record | {"eventSourceARN": arn})


def _table_number(record: dict[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def _until(
    read: Callable[[str], dict[str, Any]], iterator: str, place: dict[str, Any], number: Callable[[dict[str, Any]], int]
) -> Iterator[dict[str, Any]]:
    """Yield the records of a shard up to the end of a batch, or of the shard."""
    first, last = int(place["startSequenceNumber"]), int(place["endSequenceNumber"])
    following: str | None = iterator
    while following:
        found = read(following)
        for record in found["Records"]:
            if first <= number(record) <= last:
                yield record
        if not found["Records"] or number(found["Records"][-1]) >= last:
            return
        following = found.get("NextShardIterator")


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a record with binary attributes and times as Lambda's JSON has them."""
    match value:
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | set():
            return [_plain(inner) for inner in value]
        case bytes():
            return base64.b64encode(value).decode()
        case str() | int() | float() | bool() | None:
            return value
    return value.timestamp()


READERS: dict[str, Callable[[Callable[[str], Client], dict[str, Any]], Iterator[dict[str, Any]]]] = {
    "KinesisBatchInfo": _kinesis,
    "DDBStreamBatchInfo": _table,
}
"""The reader of a batch, by the field of a dead letter that says where the batch was."""
KINDS: dict[str, Callable[[Stack], str]] = {
    "queue": redrive_queue,
    "rules": redrive_rules,
    "invocations": redrive_invocations,
    "stream": redrive_stream,
}


def main() -> None:
    """Read the command line and put back one kind, or every kind."""
    parser = argparse.ArgumentParser(prog="python -m events.redrive", description="Put back the dead letters of a stack.")
    parser.add_argument("stack")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; all of them if none is named")
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - KINDS.keys():
        sys.exit(f"KIND must be one of {', '.join(KINDS)}. Given: {', '.join(sorted(unknown))}.")
    stack = Stack.of(arguments.stack, botocore.session.get_session().create_client)
    for kind in arguments.kinds or KINDS:
        print(f"{kind}: {KINDS[kind](stack)}.")


if __name__ == "__main__":
    main()
