"""Destinations: a pipeline writes vectors to sinks, and failures to failure destinations.

DESTINATIONS has a row for each, with the forms of its address. To add a sink: write NAME.py here and add its row;
write test_NAME.py and an example of each form (examples.py) in tests/handler/sinks; add a line to the table of sinks in the
documentation. The tests in tests/handler/sinks/test_destinations.py fail while one of these is missing.

    refusals.py       the reason for which a destination did not accept a record, and the failure that is made from it
    batches.py        batches within the limits of a call
    channel.py        destinations of one message for each record
    failures.py       failures as messages
    shard_formats.py  JSONL and Parquet; parquet.py writes the latter, with the protocol of thrift.py

Law: knows records, the pipeline's ports, and AWS through handler/aws.py; knows nothing of sources, HTTP and the model.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl

from handler.aws import Client, Post, connect, connect_signed
from handler.errors import Backend
from handler.pipeline.ports import Sink
from handler.sinks.channel import Channel, MessageSink
from handler.sinks.eventbridge import Bus
from handler.sinks.failures import FailureDestination
from handler.sinks.opensearch import OpenSearch
from handler.sinks.s3_shards import ObjectWriter, S3Shards
from handler.sinks.s3_vectors import S3Vectors
from handler.sinks.shard_formats import FORMATS
from handler.sinks.sns import Topic
from handler.sinks.sqs import Queue
from handler.sinks.write_back import ATTRIBUTES, CONNECTIONS, WriteBack
from handler.vector_types import FLOAT32

type Connect = Callable[..., Client]
"""Makes a client: handler.aws.connect, or a test's own."""
type Address = Mapping[str, str]
"""The fields of an address by name, its `format`, and the whole `uri`. A sink also gets the deployment's `output_dtype`."""

READ_SECONDS, ATTEMPTS = 10, 3

FIELDS: Mapping[str, str] = {
    "ACCOUNT": r"\d{12}",
    "ATTRIBUTE": r"[^/?]{1,255}",
    "BUCKET": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "BUS": r"[\w./-]+",
    "DOMAIN": r"[a-z0-9-]+\.(?P<REGION>[a-z0-9-]+)\.es\.amazonaws\.com(?:\.cn)?",
    "HOST": r"(?:sqs\.(?P<REGION>[a-z0-9-]+)\.)?[^/]+",
    "INDEX": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "PREFIX": r".*",
    "QUEUE": r"[\w-]{1,80}(?:\.fifo)?",
    "REGION": r"[a-z0-9-]+",
    "SEARCH_INDEX": r"[a-z0-9][a-z0-9._-]{0,254}",
    "TOPIC": r"[\w-]+(?:\.fifo)?",
    "VECTOR_BUCKET": r"[a-z0-9-]{3,63}",
}
"""The values that each field of a form accepts."""
VARIANTS: Mapping[str, str] = {r"^https:": "https?:", r"^arn:aws:": "arn:aws[a-z-]*:"}
"""Replacements in the pattern of a form, so that the addresses of a local emulator and of AWS's other partitions match it too."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One kind of destination. `name` is its module, `title` its name in sentences, `rights` the IAM actions that its sink needs.

    In its `forms`, words in capitals are FIELDS, and a part in brackets is optional. An address may end with `?format=` and one of
    `formats`; the first is the default. `sink` makes a sink, and `failures` the channel of a failure destination. None means that
    the destination cannot have this role.
    """

    name: str
    title: str
    forms: tuple[str, ...]
    rights: frozenset[str] = frozenset()
    sink: Callable[[Connect, Address], Sink] | None = None
    failures: Callable[[Connect, Address], Channel] | None = None
    formats: tuple[str, ...] = ()

    def describe(self, formats: Sequence[str]) -> str:
        """Return the title and the forms, as the sentence of a refusal lists them."""
        ending = f"?format={' or '.join(formats)}" if formats else ""
        return f"{self.title} ({' or '.join(form + ending for form in self.forms)})"


DESTINATIONS: Sequence[Destination] = (
    Destination(
        "s3_shards",
        "an S3 prefix",
        ("s3://BUCKET[/PREFIX]",),
        frozenset({"s3:PutObject", "s3:GetObject", "s3:ListBucket"}),
        lambda client, to: S3Shards(client("s3"), to["BUCKET"], to["PREFIX"], to["format"], to["output_dtype"]),
        lambda client, to: ObjectWriter(client("s3"), to["BUCKET"], to["PREFIX"]),
        tuple(FORMATS),
    ),
    Destination(
        "sqs",
        "an SQS queue",
        ("https://HOST/ACCOUNT/QUEUE",),
        frozenset({"sqs:SendMessage"}),
        lambda client, to: MessageSink(Queue(client("sqs"), to["uri"])),
        lambda client, to: Queue(client("sqs"), to["uri"]),
    ),
    Destination(
        "eventbridge",
        "an event bus",
        ("arn:aws:events:REGION:ACCOUNT:event-bus/BUS",),
        frozenset({"events:PutEvents"}),
        lambda client, to: MessageSink(Bus(client("events"), to["uri"], "Embedding")),
        lambda client, to: Bus(client("events"), to["uri"], "EmbeddingFailed"),
    ),
    Destination(
        "s3_vectors",
        "an S3 Vectors index",
        ("s3vectors://VECTOR_BUCKET/INDEX", "arn:aws:s3vectors:REGION:ACCOUNT:bucket/VECTOR_BUCKET/index/INDEX"),
        frozenset(
            {
                "s3vectors:PutVectors",
                "s3vectors:DeleteVectors",
                "s3vectors:GetIndex",
                "s3vectors:GetVectors",
                "s3vectors:ListTagsForResource",
                "s3vectors:TagResource",
            }
        ),
        lambda client, to: S3Vectors(client("s3vectors"), to["VECTOR_BUCKET"], to["INDEX"]),
    ),
    Destination(
        "write_back",
        "an attribute of the DynamoDB item",
        ("dynamodb://ATTRIBUTE",),
        frozenset({"dynamodb:UpdateItem"}),
        lambda client, to: WriteBack(partial(client, "dynamodb"), to["ATTRIBUTE"], to["format"]),
        formats=tuple(ATTRIBUTES),
    ),
    Destination(
        "opensearch",
        "an OpenSearch index",
        ("opensearch://DOMAIN/SEARCH_INDEX",),
        frozenset({"es:ESHttpPost"}),
        lambda _, to: OpenSearch(
            connect_to_domain(to["DOMAIN"], to["REGION"], "application/x-ndjson"),
            connect_to_domain(to["DOMAIN"], to["REGION"], "application/json"),
            to["SEARCH_INDEX"],
        ),
    ),
    Destination(
        "sns",
        "an SNS topic",
        ("arn:aws:sns:REGION:ACCOUNT:TOPIC",),
        failures=lambda client, to: Topic(client("sns"), to["uri"]),
    ),
)


def connect_to_domain(domain: str, region: str, content_type: str) -> Post:
    """Make the function that sends signed requests to an OpenSearch domain, with bodies of one type."""
    return connect_signed(f"https://{domain}", "es", region, content_type, read_seconds=READ_SECONDS)


def sink_from(uri: str, name: str = "SINK", connect: Connect = connect, output_dtype: str = FLOAT32.name) -> Sink:
    """Make the sink at the address `uri`, with its client. Call this in the init phase.

    Args:
        uri: an address in a form of DESTINATIONS.
        name: the setting that holds it, for the sentence of a refusal.
        connect: makes a client; tests pass their own.
        output_dtype: the type of vectors of records that name none.

    Raises:
        Backend: no sink has such an address.
    """
    rows = [(row, row.formats, row.sink) for row in DESTINATIONS if row.sink]
    return _make(rows, uri, name, connect, {"output_dtype": output_dtype})


def failure_destination_from(uri: str, name: str = "FAILURE_DESTINATION", connect: Connect = connect) -> FailureDestination:
    """Make the failure destination at the address `uri`, with its client. It has no choice of formats.

    Args:
        uri: an address in a form of DESTINATIONS.
        name: the setting that holds it, for the sentence of a refusal.
        connect: makes a client; tests pass their own.

    Raises:
        Backend: no failure destination has such an address.
    """
    rows = [(row, (), row.failures) for row in DESTINATIONS if row.failures]
    return FailureDestination(_make(rows, uri, name, connect, {}))


def _make[Made](
    rows: Sequence[tuple[Destination, Sequence[str], Callable[[Connect, Address], Made]]],
    uri: str,
    name: str,
    connect: Connect,
    settings: Mapping[str, str],
) -> Made:
    for row, formats, make in rows:
        if address := parse_address(uri, row.forms, formats):
            region = address.get("REGION")
            return make(
                partial(connect, read_seconds=READ_SECONDS, attempts=ATTEMPTS, connections=CONNECTIONS, region=region),
                {**address, **settings},
            )
    *others, last = (row.describe(formats) for row, formats, _ in rows)
    msg = f"{name} must be {', '.join(others)} or {last}; it is {uri!r}"
    raise Backend(msg)


def parse_address(uri: str, forms: Sequence[str], formats: Sequence[str]) -> Address | None:
    """Return the fields of an address, its `format` and the whole `uri`; None if the address has none of the forms."""
    address, _, query = uri.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    chosen = parameters.pop("format", None)
    if parameters or (query and chosen not in formats):
        return None
    matches = (re.fullmatch(form_pattern(form), address) for form in forms)
    found = next(filter(None, matches), None)
    if found is None:
        return None
    fields = {field: value for field, value in found.groupdict("").items() if value or field != "REGION"}
    return {**fields, "format": chosen or next(iter(formats), ""), "uri": uri}


def form_pattern(form: str) -> str:
    """Return the regular expression that matches the addresses of a form."""
    pattern = form.replace("[", "(?:").replace("]", ")?")
    for public, any_of in VARIANTS.items():
        pattern = re.sub(public, any_of, pattern)
    return re.sub(r"[A-Z_]{3,}", lambda field: f"(?P<{field[0]}>{FIELDS[field[0]]})", pattern)
