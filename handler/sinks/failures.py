"""The failure destination: records that have no vector and never will, each with its reason and as it came."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from handler.encoding import to_json
from handler.records import Failure
from handler.sinks.channel import Channel, Message

CUT = "the record was cut from {whole} bytes to what the failure destination takes"
ROOM_FOR_THE_REST = 64
"""The note's own field name, and a character cut in half."""

type Original = Any
"""A record as it came: JSON's values, a string, or bytes."""


class FailureDestination:
    """Records failures by way of a channel."""

    def __init__(self, channel: Channel) -> None:
        """Send by way of `channel`."""
        self._channel = channel

    def write(self, failures: Sequence[tuple[Failure, Original]]) -> list[Failure]:
        """Record failures with what they failed for; returns those that could not be recorded, now transient."""
        messages = [Message(failure.id, body_of(failure, original, self._channel.most_bytes)) for failure, original in failures]
        refused = self._channel.send(messages)
        return [
            replace(failures[place][0], error=f"{failures[place][0].error} (and: {refusal.error})", transient=True)
            for place, refusal in sorted(refused.items())
        ]


def body_of(failure: Failure, original: Original, most_bytes: int | None) -> bytes:
    """What is recorded: a record that is too large is cut to what fits, as text, and `note` says so."""
    if isinstance(original, bytes):
        original = original.decode("utf-8", "backslashreplace")
    said = {"id": failure.id, "error": failure.error, "error_type": failure.error_type}
    body = to_json({**said, "record": original})
    if most_bytes is None or len(body) <= most_bytes:
        return body
    text = original if isinstance(original, str) else to_json(original).decode()
    said["note"] = CUT.format(whole=len(text.encode("utf-8", "surrogatepass")))
    room = most_bytes - len(to_json(said)) - ROOM_FOR_THE_REST
    # JSON writes a character in up to six bytes: halve what is kept until it fits.
    kept = text[: max(room, 0)]
    while kept and len(to_json(kept)) > room:
        kept = kept[: len(kept) // 2]
    return to_json({**said, "record": kept})
