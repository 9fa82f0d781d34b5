"""What a test's clients and events said, held against all that the function lets be seen of it: its log, and what it raises.

Lambda writes the sentence of an exception into the log by itself, so that it is searched as the log is.
"""

import base64
import binascii
import json
import traceback
from collections.abc import Iterable, Iterator

from handler.bootstrap import Handler
from handler.kinds import Context, Event

LONG_ENOUGH = 10
"""Characters of a text that is nobody else's words by chance."""
ADDRESS = "key"
"""Where events have an object's name, which is told to whoever looks for it."""

_said: set[str] = set()
_raised: list[str] = []


def say(*texts: str) -> None:
    """Remember what the running test sent and nobody may see."""
    _said.update(text for text in texts if len(text) >= LONG_ENOUGH)


def overheard(answer: Handler) -> Handler:
    """`answer`, whose events' texts are remembered, and what it raises with them."""

    def listening(event: Event, context: Context) -> object:
        say(*(text for text in strings(event) if " " in text))  # names, addresses and times have none
        try:
            return answer(event, context)
        except Exception as error:
            _raised.append("".join(traceback.format_exception(error)))
            raise

    return listening


def strings(value: object) -> Iterator[str]:
    """All strings in what JSON holds, in the JSON and the base64 that strings of it hold likewise."""
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
    """What a string holds beside itself, as an event's body does, or the data of a stream."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            return base64.b64decode(text, validate=True).decode() or None
        except (binascii.Error, ValueError):
            return None
    return found if isinstance(found, dict | list) else None


def leaks(logged: Iterable[str]) -> list[str]:
    """What was said and can be seen in these lines, or in what was raised; all is forgotten then."""
    seen = [*logged, *_raised]
    found = [text for text in _said if any(text in line or json.dumps(text)[1:-1] in line for line in seen)]
    _said.clear()
    _raised.clear()
    return found
