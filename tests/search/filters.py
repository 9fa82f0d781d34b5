"""The filters of S3 Vectors on metadata, as its user guide defines them ("Metadata filtering")."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

type Metadata = Mapping[str, Any]
type Condition = Callable[[Metadata], bool]


class InvalidFilterError(Exception):
    """A filter that S3 Vectors would refuse."""


def parse(content: Any, non_filterable: frozenset[str]) -> Condition:  # noqa: ANN401 - JSON
    """Return the condition of a filter. Several fields must all match.

    Raises:
        InvalidFilterError: an operator is unknown, has the wrong kind of value, or is used on a field that is not filterable.
    """
    if not isinstance(content, dict) or not content:
        raise InvalidFilterError
    return _all([_part(name, value, non_filterable) for name, value in content.items()])


def _part(name: str, value: Any, non_filterable: frozenset[str]) -> Condition:  # noqa: ANN401 - JSON
    if name in {"$and", "$or"}:
        if not isinstance(value, list) or not value:
            raise InvalidFilterError
        return (_all if name == "$and" else _any)([parse(one, non_filterable) for one in value])
    if name.startswith("$") or name in non_filterable:
        raise InvalidFilterError
    operators = value if isinstance(value, dict) else {"$eq": value}
    if not operators or not operators.keys() <= OPERATORS.keys():
        raise InvalidFilterError
    return _all([_comparison(name, *OPERATORS[operator], given) for operator, given in operators.items()])


def _comparison(name: str, accepts: Callable[[Any], bool], matches: Callable[[Any, Any], bool], given: Any) -> Condition:  # noqa: ANN401
    if not accepts(given):
        raise InvalidFilterError
    return lambda metadata: matches(metadata.get(name), given)


def _all(conditions: Sequence[Condition]) -> Condition:
    return lambda metadata: all(condition(metadata) for condition in conditions)


def _any(conditions: Sequence[Condition]) -> Condition:
    return lambda metadata: any(condition(metadata) for condition in conditions)


def _is_primitive(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_primitives(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_primitive, value))


def _equals(kept: Any, given: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether the value is equal, or if it is a list, whether one of its elements is."""
    return any(
        isinstance(one, bool) == isinstance(given, bool) and one == given for one in (kept if isinstance(kept, list) else [kept])
    )


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda kept, given: _is_number(kept) and compare(kept, given)


OPERATORS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool]]] = {
    "$eq": (_is_primitive, _equals),
    "$ne": (_is_primitive, lambda kept, given: not _equals(kept, given)),
    "$gt": (_is_number, _compared(lambda kept, given: kept > given)),
    "$gte": (_is_number, _compared(lambda kept, given: kept >= given)),
    "$lt": (_is_number, _compared(lambda kept, given: kept < given)),
    "$lte": (_is_number, _compared(lambda kept, given: kept <= given)),
    "$in": (_are_primitives, lambda kept, given: any(_equals(kept, one) for one in given)),
    "$nin": (_are_primitives, lambda kept, given: not any(_equals(kept, one) for one in given)),
    "$exists": (lambda given: isinstance(given, bool), lambda kept, given: (kept is not None) == given),
}
"""By operator: whether it takes a value, and whether a value of the metadata (None if there is none) matches one that was given."""
