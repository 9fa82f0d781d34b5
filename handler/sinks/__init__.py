"""Where a pipeline's vectors go, and where its failures do: one file a destination, and the table of how each is named.

Law: knows records, what the pipeline asks of a sink, and AWS by handler/aws.py; nothing of sources, HTTP, or how vectors are made.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl

from handler.aws import Client, connect
from handler.errors import Backend
from handler.pipeline.ports import Sink
from handler.sinks.channel import Channel, MessageSink
from handler.sinks.eventbridge import Bus
from handler.sinks.failures import FailureDestination
from handler.sinks.s3_shards import Objects, S3Shards
from handler.sinks.s3_vectors import S3Vectors
from handler.sinks.shards import FORMATS
from handler.sinks.sns import Topic
from handler.sinks.sqs import Queue
from handler.sinks.write_back import ATTRIBUTES, CONNECTIONS, WriteBack

type Connect = Callable[..., Client]
"""handler.aws.connect, or what stands for it."""
type Parts = Mapping[str, str]

READ_SECONDS, ATTEMPTS = 10, 3


@dataclass(frozen=True, slots=True)
class Form[Made]:
    """One way of naming a destination: `shown` to people, matched by `pattern`, with one choice of `choices` in its query."""

    shown: str
    pattern: str
    make: Callable[[Connect, Parts, str], Made]
    choices: Sequence[str] = ()

    def read(self, uri: str) -> tuple[Parts, str] | None:
        """The parts of a URI of this form, and the choice it makes (the first, if it says nothing); None if it has another form."""
        address, _, query = uri.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        choice = asked.pop("format", None) if self.choices else None
        if not (match := re.fullmatch(self.pattern, address)) or asked or (query and choice not in self.choices):
            return None
        return match.groupdict(), choice or next(iter(self.choices), "")


S3 = r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?"
QUEUE = r"(?P<url>https?://(?:sqs\.(?P<region>[a-z0-9-]+)\.)?[^/]+/\d{12}/[\w-]{1,80}(?:\.fifo)?)"
BUS = r"(?P<arn>arn:aws[a-z-]*:events:(?P<region>[a-z0-9-]+):\d{12}:event-bus/[\w./-]+)"
TOPIC = r"(?P<arn>arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):\d{12}:[\w-]+(?:\.fifo)?)"
VECTOR_BUCKET, INDEX = r"(?P<bucket>[a-z0-9-]{3,63})", r"(?P<index>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"

SINKS: Sequence[Form[Sink]] = (
    Form(
        "s3://BUCKET/PREFIX?format=jsonl or parquet",
        S3,
        lambda client, parts, kind: S3Shards(client("s3"), parts["bucket"], parts["prefix"] or "", kind),
        tuple(FORMATS),
    ),
    Form("an SQS queue's URL", QUEUE, lambda client, parts, _: MessageSink(Queue(client("sqs"), parts["url"]))),
    Form("an event bus's ARN", BUS, lambda client, parts, _: MessageSink(Bus(client("events"), parts["arn"], "Embedding"))),
    Form(
        "s3vectors://BUCKET/INDEX",
        rf"s3vectors://{VECTOR_BUCKET}/{INDEX}",
        lambda client, parts, _: S3Vectors(client("s3vectors"), parts["bucket"], parts["index"]),
    ),
    Form(
        "an S3 Vectors index's ARN",
        rf"arn:aws[a-z-]*:s3vectors:(?P<region>[a-z0-9-]+):\d{{12}}:bucket/{VECTOR_BUCKET}/index/{INDEX}",
        lambda client, parts, _: S3Vectors(client("s3vectors"), parts["bucket"], parts["index"]),
    ),
    Form(
        "dynamodb://ATTRIBUTE?format=list or binary",
        r"dynamodb://(?P<attribute>[^/?]{1,255})",
        lambda client, parts, kind: WriteBack(partial(client, "dynamodb"), parts["attribute"], kind),
        tuple(ATTRIBUTES),
    ),
)

FAILURE_DESTINATIONS: Sequence[Form[Channel]] = (
    Form("s3://BUCKET/PREFIX", S3, lambda client, parts, _: Objects(client("s3"), parts["bucket"], parts["prefix"] or "")),
    Form("an SQS queue's URL", QUEUE, lambda client, parts, _: Queue(client("sqs"), parts["url"])),
    Form("an SNS topic's ARN", TOPIC, lambda client, parts, _: Topic(client("sns"), parts["arn"])),
    Form("an event bus's ARN", BUS, lambda client, parts, _: Bus(client("events"), parts["arn"], "EmbeddingFailed")),
)


def sink_from(uri: str, name: str = "SINK", connect: Connect = connect) -> Sink:
    """The sink that `uri` names, its client made: call it at init.

    Args:
        uri: of one of the forms of SINKS.
        name: of the setting, for the sentence that refuses it.
        connect: makes a client; tests hand in their own.

    Raises:
        Backend: it names none.
    """
    return _made(SINKS, uri, name, connect)


def failure_destination_from(uri: str, name: str = "FAILURE_DESTINATION", connect: Connect = connect) -> FailureDestination:
    """The failure destination that `uri` names, its client made.

    Args:
        uri: of one of the forms of FAILURE_DESTINATIONS.
        name: of the setting, for the sentence that refuses it.
        connect: makes a client; tests hand in their own.

    Raises:
        Backend: it names none.
    """
    return FailureDestination(_made(FAILURE_DESTINATIONS, uri, name, connect))


def _made[Made](forms: Sequence[Form[Made]], uri: str, name: str, connect: Connect) -> Made:
    for form in forms:
        if read := form.read(uri):
            parts, choice = read
            client = partial(
                connect, read_seconds=READ_SECONDS, attempts=ATTEMPTS, connections=CONNECTIONS, region=parts.get("region")
            )
            return form.make(client, parts, choice)
    known = ", ".join(form.shown for form in forms[:-1])
    msg = f"{name} must be {known} or {forms[-1].shown}; it is {uri!r}"
    raise Backend(msg)
