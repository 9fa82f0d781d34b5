"""Decimal numbers as values of JSON that keep every digit.

Law: pure functions.
"""

import json
from decimal import Decimal
from typing import Any

LARGEST_EXPONENT = 200
"""DynamoDB's numbers end at 1e125. A number with a larger exponent would need as many digits in memory."""


def to_exact(text: str) -> int | float | str:
    """Return a decimal number as an integer or a float. If a float would lose a digit, return a string of the digits.

    Raises:
        ArithmeticError, ValueError: the text is not a finite number.
    """
    number = Decimal(text)
    if not number.is_finite():
        msg = "the number is not finite"
        raise ValueError(msg)
    if abs(number.adjusted()) > LARGEST_EXPONENT:
        return str(number)
    if number == number.to_integral_value():
        return int(number)
    nearest = float(number)
    return nearest if Decimal(repr(nearest)) == number else f"{number:f}".rstrip("0")


def restore_exact_id(fields: dict[str, Any], source: str | bytes) -> dict[str, Any]:
    """Return `fields`, which were parsed from `source`. If their `id` is a float, replace it by a value with all of its digits.

    A float keeps 17 digits, so two different ids could become the same.
    """
    if not isinstance(fields.get("id"), float):
        return fields
    digits = json.loads(source, parse_int=str, parse_float=str)["id"]
    if not isinstance(digits, str):
        return fields  # NaN and infinity have no digits
    try:
        return fields | {"id": to_exact(digits)}
    except ArithmeticError:
        return fields | {"id": digits}
