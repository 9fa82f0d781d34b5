"""Decimal numbers as JSON values that keep every digit.

Law: pure functions.
"""

import json
from decimal import Decimal
from typing import Any

LARGEST_EXPONENT = 200
"""DynamoDB's numbers end at 1e125. A larger exponent would be that many digits in memory."""


def exact(text: str) -> int | float | str:
    """Read a decimal number without losing a digit: as a string of its digits where no JSON reader's float could hold it.

    Raises:
        ArithmeticError, ValueError: it is no finite number.
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


def with_exact_id(fields: dict[str, Any], source: str | bytes) -> dict[str, Any]:
    """Return the object that was read from `source`; if its `id` is a float, in all its digits.

    A float keeps 17 of them, and two ids must not become one.
    """
    if not isinstance(fields.get("id"), float):
        return fields
    digits = json.loads(source, parse_int=str, parse_float=str)["id"]
    if not isinstance(digits, str):
        return fields  # NaN or infinity, which has no digits
    try:
        return fields | {"id": exact(digits)}
    except ArithmeticError:
        return fields | {"id": digits}
