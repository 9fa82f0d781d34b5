"""Check that no text or key that a test sends can be seen in the function's log or exceptions.

Lambda itself logs the sentence of an exception, so exceptions are searched as the log is.
"""

import base64
import binascii
import json
import traceback
from collections.abc import Iterable, Iterator

from handler.bootstrap import Handler
from handler.kinds import Context, Event

LONG_ENOUGH = 10
"""The least characters of a text that is looked for; shorter ones may occur by chance."""
ADDRESS = "key"
"""The field of an event that has an object's name, which may be logged."""

_said: set[str] = set()
_raised: list[str] = []


def say(*texts: str) -> None:
    """Record texts that the running test sends and that nobody may see."""
    _said.update(text for text in texts if len(text) >= LONG_ENOUGH)


def overheard(handler: Handler) -> Handler:
    """Wrap a handler so that the texts of its events and its exceptions are recorded."""

    def listening(event: Event, context: Context) -> object:
        say(*(text for text in strings(event) if " " in text))  # names, addresses and times have no spaces
        try:
            return handler(event, context)
        except Exception as error:
            _raised.append("".join(traceback.format_exception(error)))
            raise

    return listening


def strings(value: object) -> Iterator[str]:
    """Yield all strings in a value of JSON, including those inside strings that are JSON or base64 themselves."""
    match value:
        case str():
            yield value
            yield from strings(_inside(value))
        case list():
            for inner in value:
                yield from strings(inner)
        case dict():
            for name, inner in value.items():
                if name != ADDRESS:
                    yield from strings(inner)


def _inside(text: str) -> object:
    """Return the content of a string that is JSON or base64, such as an event's body or a stream's data; None of others."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            return base64.b64decode(text, validate=True).decode() or None
        except (binascii.Error, ValueError):
            return None
    return found if isinstance(found, dict | list) else None


def leaks(logged: Iterable[str]) -> list[str]:
    """Return the recorded texts that are in these lines or in exceptions, and clear all records."""
    seen = [*logged, *_raised]
    found = [text for text in _said if any(text in line or json.dumps(text)[1:-1] in line for line in seen)]
    _said.clear()
    _raised.clear()
    return found
