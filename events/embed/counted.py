"""A number with its noun, in the singular or the plural."""


def counted(number: int, one: str, several: str) -> str:
    """Return the number and the words for it: `one` for 1, else `several`."""
    return f"{number:,} {one if number == 1 else several}"
