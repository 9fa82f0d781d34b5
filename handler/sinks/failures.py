"""The failure destination: it keeps each record that can never be embedded, with the reason and the original message."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from handler.encoding import MOST_LEVELS, is_deeper, shallow, to_json
from handler.records import Failure
from handler.sinks.channel import Channel, Message, escape

TRUNCATED = "truncated to what the failure destination takes: {whole}"
SHARES = {"id": 8, "error": 4}
"""If a body is too large, its id may take an eighth of the limit and its error a quarter. The record gets the rest."""

type Original = Any
"""A record as the source received it: a value of JSON, a string, or bytes."""


class FailureDestination:
    """Sends failures through a channel."""

    def __init__(self, channel: Channel) -> None:
        """Send through `channel`."""
        self._channel = channel

    def write(self, failures: Sequence[tuple[Failure, Original]]) -> list[Failure]:
        """Send each failure with its original message; return the failures that were refused, as transient failures."""
        messages = [Message(failure.id, to_body(failure, original, self._channel.most_bytes)) for failure, original in failures]
        refused = self._channel.send(messages)
        return [
            replace(failures[position][0], error=f"{failures[position][0].error} (and: {refusal.error})", transient=True)
            for position, refusal in sorted(refused.items())
        ]


def to_body(failure: Failure, original: Original, most_bytes: int | None) -> bytes:
    """Return a failure as JSON of at most `most_bytes`. If it must be truncated, the field `note` names the full sizes.

    A body that its destination refuses would be retried for ever, and its stream would not advance.
    """
    if isinstance(original, bytes):
        original = original.decode("utf-8", "backslashreplace")
    if is_deeper(original, MOST_LEVELS):
        original = shallow(original, MOST_LEVELS)
    fields = {"id": failure.id, "error": failure.error, "error_type": failure.error_type}
    encoded = {name: _encode(value) for name, value in fields.items()}
    body = _join({**encoded, "record": _encode(original)})
    if most_bytes is None or len(body) <= most_bytes:
        return body
    text = original if isinstance(original, str) else to_json(original).decode()
    whole = {"record": len(text.encode("utf-8", "surrogatepass"))}
    for name, share in SHARES.items():
        if len(encoded[name]) > most_bytes // share:
            whole[name] = len(fields[name].encode("utf-8", "surrogatepass"))
            encoded[name] = truncate(fields[name], most_bytes // share)
    encoded["note"] = to_json(TRUNCATED.format(whole=", ".join(f"{name} of {size} bytes" for name, size in sorted(whole.items()))))
    room = most_bytes - len(_join({**encoded, "record": b""}))
    return _join({**encoded, "record": truncate(text, room)})


def truncate(text: str, room: int) -> bytes:
    """Return the JSON of the longest beginning of a text that takes at most `room` bytes, or of the empty text."""
    fits, too_many = 0, min(len(text), max(room, 0)) + 1  # a character takes at least one byte
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if len(_encode(text[:middle])) <= room:
            fits = middle
        else:
            too_many = middle
    return _encode(text[:fits])


def _join(fields: Mapping[str, bytes]) -> bytes:
    """Make a JSON object of values that are JSON already, so that their lengths add up."""
    return b"{" + b",".join(to_json(name) + b":" + value for name, value in fields.items()) + b"}"


def _encode(value: object) -> bytes:
    """Return a value's JSON in the characters that every channel accepts."""
    return escape(to_json(value))
