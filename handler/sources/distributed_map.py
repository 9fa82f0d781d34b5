"""Step Functions' Distributed Map: a batch of `Items`, with settings for the batch in its ItemBatcher's `BatchInput`.

IAM: the function needs no right; the state machine's role needs lambda:InvokeFunction.
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
from handler.sources.record_parsing import parse_record

FIELDS = {"Items", "BatchInput"}
MOST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class BatchInput:
    """The settings of one batch. None means that the deployment's own setting applies.

    `use_cache` is false by default: a corpus has each text once, and caching a vector costs four times as much as computing it.
    The batch must be done `seconds` after `started` (seconds since 1970; by default the batch's arrival), because a state of a
    workflow can time out long before the function does.
    """

    sink: str | None
    text_field: str | None
    use_cache: bool
    started: float | None
    seconds: float | None

    @classmethod
    def of(cls, event: Event) -> Self:
        """Read the settings of a batch.

        Raises:
            Validation: `BatchInput` or one of its fields has the wrong type.
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
        """Return the seconds from `now` (seconds since 1970) until the batch must be done; infinity if it has no limit."""
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
    """Return whether this is a batch of a map."""
    return isinstance(event, dict) and isinstance(event.get("Items"), list) and event.keys() <= FIELDS


def records(event: Event, text_field: str, *, use_cache: bool) -> Iterator[Content]:
    """Yield one content for each item. The id of an item without an `id` is a hash of its content, so a retry has the same id.

    `use_cache` applies to items that have no `use_cache` of their own.
    """
    for position, item in enumerate(event["Items"]):
        is_given = not isinstance(item, dict) or item.get("use_cache") not in (None, "")  # an empty cell of CSV is ""
        fields = item if is_given else item | {"use_cache": use_cache}
        name = str(position) if is_deeper(item, MOST_LEVELS) else _hash(item)
        yield parse_record(fields, name, Origin(position, item), text_field)


def _hash(item: object) -> str:
    return hashlib.sha256(json.dumps(finite(item), sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]
