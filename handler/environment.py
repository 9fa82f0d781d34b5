"""The values of environment variables, checked: a variable that is not set, or is empty, has its default.

Law: takes the variables as a mapping, and knows no variable's name.
"""

import re
from collections.abc import Mapping

from handler.errors import Backend


def read_boolean(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return the truth of a variable.

    Raises:
        Backend: it is neither true, 1, false nor 0.
    """
    value = environment.get(name, "").strip().lower()
    if value not in {"", "true", "1", "false", "0"}:
        msg = f"{name} must be true or false; it is {value!r}"
        raise Backend(msg)
    return value in {"true", "1"} if value else default


def read_matching(environment: Mapping[str, str], name: str, pattern: str, expected: str) -> str:
    """Return a variable that matches `pattern`, or "" if it is not set. `expected` describes the pattern in the error.

    Raises:
        Backend: it does not match.
    """
    value = environment.get(name, "").strip()
    if value and not re.fullmatch(pattern, value, re.ASCII):
        msg = f"{name} must be {expected}; it is {value!r}"
        raise Backend(msg)
    return value


def read_positive(environment: Mapping[str, str], name: str, *, default: int) -> int:
    """Return a variable's whole number, 1 or more.

    Raises:
        Backend: it is none.
    """
    return _number(environment, name, default, least=1, expected="a whole number above 0")


def read_whole(environment: Mapping[str, str], name: str, *, default: int) -> int:
    """Return a variable's whole number, 0 or more.

    Raises:
        Backend: it is none.
    """
    return _number(environment, name, default, least=0, expected="a whole number")


def _number(environment: Mapping[str, str], name: str, default: int, *, least: int, expected: str) -> int:
    value = environment.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and int(value) >= least):
        msg = f"{name} must be {expected}; it is {value!r}"
        raise Backend(msg)
    return int(value)
