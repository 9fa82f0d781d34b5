"""The failure destination: records that have no vector and never will, each with its reason and as it came."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from handler.encoding import MOST_LEVELS, is_deeper, shallow, to_json
from handler.records import Failure
from handler.sinks.channel import Channel, Message, sendable

TRUNCATED = "truncated to what the failure destination takes: {whole}"
SHARES = {"id": 8, "error": 4}
"""Of the largest body, the part that each may take where not all fits; the record has what is left."""

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
    """Return what is recorded: if it is too large, id, error and record are truncated, and `note` says from how many bytes.

    A failure that its destination could not take would be tried again for ever, and a stream would wait for it.
    """
    if isinstance(original, bytes):
        original = original.decode("utf-8", "backslashreplace")
    if is_deeper(original, MOST_LEVELS):
        original = shallow(original, MOST_LEVELS)
    said = {"id": failure.id, "error": failure.error, "error_type": failure.error_type}
    body = _joined({**{name: _sendable(value) for name, value in said.items()}, "record": _sendable(original)})
    if most_bytes is None or len(body) <= most_bytes:
        return body
    kept = {name: _sendable(value) for name, value in said.items()}
    text = original if isinstance(original, str) else to_json(original).decode()
    whole = {"record": len(text.encode("utf-8", "surrogatepass"))}
    for name, share in SHARES.items():
        if len(kept[name]) > most_bytes // share:
            whole[name] = len(said[name].encode("utf-8", "surrogatepass"))
            kept[name] = truncated(said[name], most_bytes // share)
    kept["note"] = to_json(TRUNCATED.format(whole=", ".join(f"{name} of {size} bytes" for name, size in sorted(whole.items()))))
    room = most_bytes - len(_joined({**kept, "record": b""}))
    return _joined({**kept, "record": truncated(text, room)})


def truncated(text: str, room: int) -> bytes:
    """The JSON of as much of a text, from its beginning, as takes `room` bytes; of none of it where there is no room for any."""
    fits, over = 0, min(len(text), max(room, 0)) + 1  # a character takes a byte at least
    while over - fits > 1:
        middle = (fits + over) // 2
        if len(_sendable(text[:middle])) <= room:
            fits = middle
        else:
            over = middle
    return _sendable(text[:fits])


def _joined(fields: Mapping[str, bytes]) -> bytes:
    """A JSON object of fields that are JSON already, so that the length of each counts alone."""
    return b"{" + b",".join(to_json(name) + b":" + value for name, value in fields.items()) + b"}"


def _sendable(value: object) -> bytes:
    """A value's JSON as it is counted and sent."""
    return sendable(to_json(value))
