"""Where records come from: one file per event source, each with a predicate that only its own events satisfy.

    record_parsing.py    a record from its fields
    envelopes.py         a message's body: a record, a plain text, or an envelope of another service
    isolation.py         a record that cannot be read fails alone
    exact_numbers.py     numbers that keep every digit
    replies.py           how a source learns what to retry
    queue_visibility.py  when failed messages of a queue are received again
    kpl.py               aggregated records of the Kinesis Producer Library
    files.py             records of JSONL, CSV and plain text; file_lines.py reads their lines
    s3_objects.py        objects of S3, read in parts
    continuations.py     objects for the pipeline, and the queue to which their rest is deferred
    sqs.py kinesis.py dynamodb.py                  named in `batchItemFailures` where they are to come again
    sns.py eventbridge.py s3.py                    asynchronous: come again where the function raises
    pipes.py distributed_map.py                    answered with the results, or a receipt of them

Each file says which rights its source needs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from handler.errors import Validation, kind, shown
from handler.records import Content, Failure
from handler.sources import direct, distributed_map, dynamodb, eventbridge, kinesis, pipes, s3, sns, sqs


class Source(Protocol):
    """An event source whose events are acknowledged, whole or in part."""

    NAME: str

    def matches(self, event: object) -> bool:
        """Whether `event` is this source's."""
        ...

    def records(self, event: Any, text_field: str) -> Iterator[Content]:  # noqa: ANN401 - Lambda's own type
        """What the event holds."""
        ...

    def reply(self, back: Sequence[Failure]) -> object:
        """The function's answer, where `back` is to come again."""
        ...


SOURCES: tuple[Source, ...] = (sqs, sns, eventbridge, s3, kinesis, dynamodb)


def source_of(event: object) -> Source:
    """The source whose event this is.

    Raises:
        Validation: none; the sentence names what the event seems to be.
    """
    for source in SOURCES:
        if source.matches(event):
            return source
    names = ", ".join(source.NAME for source in SOURCES)
    msg = (
        f'This function takes {{"inputs": …}}, {{"records": […]}} and events of {names}, EventBridge Pipes and Step Functions. '
        f"Given: {described(event)}"
    )
    raise Validation(msg)


def name_of_source(event: object) -> str:
    """The name of whatever kind of event this is, for the log."""
    answered = (source.NAME for source in (direct, distributed_map, pipes) if source.matches(event))
    return next(answered, None) or next((source.NAME for source in SOURCES if source.matches(event)), "refused")


def described(event: object) -> str:
    """What an event of no source seems to be: by the marks of its kind, else by the names in it alone."""
    if not isinstance(event, dict):
        return kind(event)
    for name, matches in STRANGERS.items():
        if matches(event):
            return name
    return "an event with the fields " + (", ".join(sorted(map(shown, event))[:10]) or "none")


def _context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    context = event.get("requestContext")
    return context if isinstance(context, dict) else {}


STRANGERS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "a request to an authorizer": lambda event: "type" in event and ("methodArn" in event or "routeArn" in event),
    "a Lambda Destinations record": lambda event: "condition" in _context(event) and "requestPayload" in event,
    "a VPC Lattice request": lambda event: "serviceNetworkArn" in _context(event) or "raw_path" in event,
    "a WebSocket message": lambda event: "connectionId" in _context(event),
    "an HTTP request, which handler.functions.api answers": lambda event: bool(_context(event)),
    "a CloudWatch Logs subscription": lambda event: "awslogs" in event,
    "a Firehose transformation": lambda event: "deliveryStreamArn" in event,
    "a Kafka batch": lambda event: event.get("eventSource") in ["aws:kafka", "SelfManagedKafka"],
    "an MQ batch": lambda event: event.get("eventSource") in ["aws:amq", "aws:rmq"],
    "a Cognito trigger": lambda event: "triggerSource" in event,
    "records of other or of several sources": lambda event: isinstance(event.get("Records"), list),
}
"""Events of other kinds, some of which look like one of ours."""
