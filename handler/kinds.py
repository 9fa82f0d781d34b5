"""The one table of events: how an event is recognised, which function takes it, what handles it, and how failures are reported.

A row holds names, `module:attribute`, which are imported at their first use: an HTTP request waits for no event source, and the
pipeline never imports FastAPI. No event satisfies two predicates, so the order of the rows affects only the time of the search.

To add an event source, write handler/sources/NAME.py with `matches` and `records`, an event events/NAME.json and a test, and add a
row to KINDS. The row also names the function that reports failures to the source.

Law: knows the other modules by name only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from handler import errors

type Event = Any
"""An event, as Lambda's JSON has it."""
type Context = Any
"""Lambda's object about the invocation; None in tests and local runs."""

API, PIPELINE = "api", "pipeline"
"""The modules of handler.functions that take events."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event."""

    name: str
    """The kind's name in logs and in refusals."""
    functions: tuple[str, ...]
    """The functions that take it; `make invoke` sends it to the first one."""
    matches: str
    """The predicate, which takes an event."""
    make_handler: str
    """The function that makes the handler of such events from (service, setup, kind)."""
    records: str = ""
    """The function that finds the records of an event. Only event sources have one."""
    reply: str = ""
    """The function that reports the failures to retry, by its return value or by an exception. Only event sources have one."""


def _source(name: str, module: str, reply: str) -> Kind:
    """Make the row of an event source. `module` and `reply` are names in handler/sources."""
    source = f"handler.sources.{module}"
    make_handler = "handler.functions.messages:make_handler"
    return Kind(name, (PIPELINE,), f"{source}:matches", make_handler, f"{source}:records", f"handler.sources.{reply}")


HTTP = Kind("HTTP", (API,), "handler.doors:is_request", "handler.functions.api:make_http_handler")

KINDS = (
    HTTP,
    Kind("direct", (API, PIPELINE), "handler.sources.direct:matches", "handler.functions.direct:make_handler"),
    _source("SQS", "sqs", "replies:name_messages"),
    _source("SNS", "sns", "replies:raise_if_unfinished"),
    _source("EventBridge", "eventbridge", "replies:raise_if_unfinished"),
    _source("S3", "s3", "replies:raise_if_unfinished"),
    _source("Kinesis", "kinesis", "replies:name_first_of_stream"),
    _source("DynamoDB Streams", "dynamodb", "replies:name_first_of_stream"),
    _source("Kafka", "kafka", "kafka:name_first_of_partitions"),
    Kind("EventBridge Pipes", (PIPELINE,), "handler.sources.pipes:matches", "handler.functions.enrichment:make_handler"),
    Kind("Step Functions", (PIPELINE,), "handler.sources.distributed_map:matches", "handler.functions.map_batch:make_handler"),
)

PLAIN = '{"inputs": …}'
RECORDS = '{"records": […]}'


def resolve(name: str) -> Any:  # noqa: ANN401 - whatever the row names
    """Import what a row names as `module:attribute`. Python keeps imported modules, so only the first call takes time."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def load(function: str) -> None:
    """Import everything that a function's rows name, so that no event waits for it."""
    for kind in KINDS:
        if function in kind.functions:
            for name in filter(None, (kind.matches, kind.make_handler, kind.records, kind.reply)):
                resolve(name)


def find(event: object, function: str | None = None) -> Kind | None:
    """Return the kind of an event among those that `function`, or any function, takes; None if there is none."""
    return next((kind for kind in KINDS if (function is None or function in kind.functions) and resolve(kind.matches)(event)), None)


def kind_of(event: object, function: str) -> Kind:
    """Return the kind of an event.

    Raises:
        Validation: the function does not take it; the sentence says what it takes, and what the event seems to be.
    """
    if kind := find(event, function):
        return kind
    if function == API:
        taken = f"takes HTTP requests, {PLAIN} and {RECORDS}"
    else:
        *names, last = (kind.name for kind in KINDS if kind.functions == (function,))
        taken = f"takes {PLAIN}, {RECORDS} and events of {', '.join(names)} and {last}"
    msg = f"This function {taken}. Given: {describe(event)}"
    raise errors.Validation(msg)


def function_of(event: object) -> str:
    """Return the function that an event is for. An unknown event is for the pipeline, which takes most kinds and refuses it."""
    kind = find(event)
    return kind.functions[0] if kind else PIPELINE


def describe(event: object) -> str:
    """Describe an event of no kind by the AWS service that sends such events, or else by the names of its fields."""
    if not isinstance(event, dict):
        return errors.kind(event)
    for name, matches in UNSUPPORTED_EVENTS.items():
        if matches(event):
            return name
    return "an event with the fields " + (", ".join(sorted(map(errors.shown, event))[:10]) or "none")


def _request_context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    context = event.get("requestContext")
    return context if isinstance(context, dict) else {}


UNSUPPORTED_EVENTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "a request to an authorizer": lambda event: "type" in event and ("methodArn" in event or "routeArn" in event),
    "a Lambda Destinations record": lambda event: "condition" in _request_context(event) and "requestPayload" in event,
    "a VPC Lattice request": lambda event: "serviceNetworkArn" in _request_context(event) or "raw_path" in event,
    "a WebSocket message": lambda event: "connectionId" in _request_context(event),
    "an HTTP request, which handler.functions.api takes": lambda event: bool(_request_context(event)),
    "a CloudWatch Logs subscription": lambda event: "awslogs" in event,
    "a Firehose transformation": lambda event: "deliveryStreamArn" in event,
    "an MQ batch": lambda event: event.get("eventSource") in ["aws:mq", "aws:amq", "aws:rmq"],  # AWS's pages have two of ActiveMQ
    "a Cognito trigger": lambda event: "triggerSource" in event,
    "a batch of a tumbling window: remove it from the event source mapping": lambda event: "isFinalInvokeForWindow" in event,
    "records of other or of several sources": lambda event: isinstance(event.get("Records"), list),
}
"""Events that no function takes, by the fields that identify them. Some of them look like an event of KINDS."""
