"""Step Functions' Distributed Map: a batch of `Items`, with what its ItemBatcher's `BatchInput` says of all of them.

IAM: none of the function's own; the state machine's role may invoke it (lambda:InvokeFunction).
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from handler.encoding import MOST_LEVELS, finite, is_deeper
from handler.errors import Validation, kind, shown
from handler.kinds import Event
from handler.records import Content, Origin
from handler.sources.reading import record_of

FIELDS = {"Items", "BatchInput"}
MOST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class BatchInput:
    """What a batch says of itself; None stands for the deployment's own setting.

    A corpus has each text once: to remember its vectors would cost four times what they do. Whoever wants that says `use_cache`.
    A batch may have so many `seconds` from when it `started` (seconds since 1970; when it arrives, if that is not given), since a
    state of a workflow ends long before a function must.
    """

    sink: str | None
    text_field: str | None
    use_cache: bool
    started: float | None
    seconds: float | None

    @classmethod
    def of(cls, event: Event) -> Self:
        """Read a batch's own settings.

        Raises:
            Validation: it, or one of them, is of the wrong type.
        """
        given = event.get("BatchInput") or {}
        if not isinstance(given, dict):
            msg = f"`BatchInput` must be an object. Given: {kind(given)}"
            raise Validation(msg)
        for name in ("sink", "text_field"):
            if not isinstance(given.get(name), str | None):
                msg = f"`BatchInput.{name}` must be a string. Given: {kind(given[name])}"
                raise Validation(msg)
        use_cache = given.get("use_cache")
        if not isinstance(use_cache, bool | None):
            msg = f"`BatchInput.use_cache` must be true or false. Given: {kind(use_cache)}"
            raise Validation(msg)
        return cls(given.get("sink"), given.get("text_field"), use_cache or False, _started(given), _seconds(given))

    def seconds_left(self, now: float) -> float:
        """Seconds from `now` (seconds since 1970) until the batch must be done; infinity if it does not say."""
        if self.seconds is None:
            return math.inf
        return self.seconds - max(0.0, now - (now if self.started is None else self.started))


def _started(given: Mapping[str, Any]) -> float | None:
    value = given.get("started")
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        msg = f"`BatchInput.started` must be a time as Step Functions writes it, 2026-11-28T18:52:55.123Z. Given: {kind(value)}"
        raise Validation(msg) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(given: Mapping[str, Any]) -> float | None:
    value = given.get("seconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_SECONDS:
        msg = f"`BatchInput.seconds` must be a number above 0, at most {MOST_SECONDS}. Given: {shown(value)}"
        raise Validation(msg)
    return float(value)


def matches(event: object) -> bool:
    """Whether this is a batch of a map."""
    return isinstance(event, dict) and isinstance(event.get("Items"), list) and event.keys() <= FIELDS


def records(event: Event, text_field: str, *, use_cache: bool) -> Iterator[Content]:
    """One content for each item. One without an `id` is named by what it holds, so that a repeat gives it the same name.

    `use_cache` is for the items that do not say so themselves.
    """
    for place, item in enumerate(event["Items"]):
        says = not isinstance(item, dict) or item.get("use_cache") not in (None, "")  # the latter in CSV
        fields = item if says else item | {"use_cache": use_cache}
        name = str(place) if is_deeper(item, MOST_LEVELS) else _name(item)
        yield record_of(fields, name, Origin(place, item), text_field)


def _name(item: object) -> str:
    return hashlib.sha256(json.dumps(finite(item), sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]
