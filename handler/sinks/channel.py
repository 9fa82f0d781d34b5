"""What sinks share: what results and failures become, and how messages are sent in batches.

Law: a record is refused for good only where the record itself is what its destination does not take. Whatever else goes wrong (a
lost connection, missing rights, a destination that is not there) may pass, so its records are tried again and in the end kept by
the source's own dead-letter queue.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from handler import telemetry
from handler.aws import error_name
from handler.encoding import to_json
from handler.records import Deleted, Failure, Record, Result

UNSENDABLE = {"\ufffe".encode(): b"\\ufffe", "\uffff".encode(): b"\\uffff"}
"""All that stands in JSON and that SQS does not take (it takes what XML 1.0 has), and how JSON writes it otherwise."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent for one record: JSON in UTF-8."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was not taken."""

    error: str
    transient: bool


class Channel(Protocol):
    """Carries messages to a destination, each on its own: some may be taken and others not."""

    most_bytes: int | None
    """The largest body that it carries."""

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Send `messages`; returns what was not taken, by its place among them."""
        ...


class MessageSink:
    """Sends each result as one message."""

    def __init__(self, channel: Channel) -> None:
        """Send by way of `channel`."""
        self._channel = channel

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Send `results`; returns a failure for each that was not taken."""
        refused = self._channel.send([Message(result.record.id, to_json(fields_of(result))) for result in results])
        return [failure_of(results[place].record, refusal) for place, refusal in refused.items()]


def fields_of(result: Result) -> dict[str, Any]:
    """A result as sinks write it; what else the record carried stands apart, so that no name of its own can clash."""
    return {
        "id": result.record.id,
        "embedding": result.vector,
        "tokens": result.tokens,
        "truncated": result.truncated,
        "metadata": result.record.metadata,
    }


def failure_of(record: Record | Deleted, refusal: Refusal) -> Failure:
    """The failure of a record that was not written, or whose vector was not deleted."""
    kind = "Backend" if refusal.transient else "Validation"
    return Failure(record.id, refusal.error, kind, refusal.transient, record.origin)


def unanswered(what: str, error: Exception) -> Refusal:
    """Why nothing of a call was taken. `what` was called, and is named in the sentence; the log has the same."""
    telemetry.log("not_written", to=what, error=error_name(error))
    return Refusal(f"{what} did not take it: {error_name(error)}", transient=True)


def send_in_batches(
    sizes: Sequence[int], most: int, limit: int, send: Callable[[Sequence[int]], dict[int, Refusal]]
) -> dict[int, Refusal]:
    """Send messages of these sizes in bytes, in calls of `most` messages and `limit` bytes in all; returns what was not taken.

    `send` is given the places of one call's messages, and returns likewise. What is over the limit alone is not sent.
    """
    refused: dict[int, Refusal] = {}
    fitting: list[int] = []
    for place, size in enumerate(sizes):
        if size > limit:
            error = f"The message of the record has {size} bytes; the destination takes {limit}"
            refused[place] = Refusal(error, transient=False)
        else:
            fitting.append(place)
    for batch in batches(fitting, [sizes[place] for place in fitting], most, limit):
        refused.update(send(batch))
    return refused


def batches[Item](items: Sequence[Item], sizes: Sequence[int], most: int, limit: int) -> Iterator[list[Item]]:
    """`items` in order, in batches of at most `most`, whose sizes come to `limit` at most."""
    batch: list[Item] = []
    total = 0
    for item, size in zip(items, sizes, strict=True):
        if batch and (len(batch) == most or total + size > limit):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
    if batch:
        yield batch


def sendable(body: bytes) -> bytes:
    """The same JSON in characters that every destination takes."""
    for unsendable, escaped in UNSENDABLE.items():
        body = body.replace(unsendable, escaped)
    return body
