"""Channels: destinations that carry one JSON message for each record, and the sink that sends results through a channel.

A channel can carry results (a sink) as well as failures (a failure destination).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from handler.encoding import to_json
from handler.records import Failure, Result
from handler.sinks.refusals import Refusal, to_failure

ESCAPES = {"\ufffe".encode(): b"\\ufffe", "\uffff".encode(): b"\\uffff"}
"""The characters that JSON may contain and SQS refuses, and JSON's escapes for them. SQS accepts the characters of XML 1.0."""


@dataclass(frozen=True, slots=True)
class Message:
    """The message of one record: JSON in UTF-8."""

    id: str
    body: bytes


class Channel(Protocol):
    """Carries messages to a destination, which may accept some of them and refuse others."""

    most_bytes: int | None
    """The largest body that it carries; None if there is no limit."""

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Send `messages`; return the refusals, by the position of the message."""
        ...


class MessageSink:
    """Sends each result as one message."""

    def __init__(self, channel: Channel) -> None:
        """Send through `channel`."""
        self._channel = channel

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Send `results`; return a failure for each result that was refused."""
        refused = self._channel.send([Message(result.record.id, to_json(to_fields(result))) for result in results])
        return [to_failure(results[position].record, refusal) for position, refusal in refused.items()]


def to_fields(result: Result) -> dict[str, Any]:
    """Return a result as JSON fields. Metadata is an object of its own, so that its names cannot clash with ours."""
    return {
        "id": result.record.id,
        "embedding": result.vector,
        "tokens": result.tokens,
        "truncated": result.truncated,
        "metadata": result.record.metadata,
    }


def escape(body: bytes) -> bytes:
    """Return the same JSON without the characters that SQS refuses."""
    for character, escaped in ESCAPES.items():
        body = body.replace(character, escaped)
    return body


def digest(content: bytes) -> str:
    """Return a name for `content` that FIFO queues and topics accept: 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
