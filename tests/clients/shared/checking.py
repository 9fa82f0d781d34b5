"""Shared steps of the scripts: read the texts to send, keep the sentence of a failure, and print one JSON line at the end."""

import json
import sys
from collections.abc import Callable
from typing import Any

given: dict[str, Any] = json.load(sys.stdin)
"""Texts by the names that test_clients.py gave them."""


def said(call: Callable[..., object], *arguments: object, **options: object) -> str:
    """The text a user sees of the exception that this call raises."""
    try:
        call(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - whatever the client raises
        told = getattr(error, "response_error_payload", "")  # where huggingface_hub's asynchronous client puts it before 1.0
        return f"{type(error).__name__}: {error} {told}"
    return "no exception"


def tell(version: str, answers: dict[str, Any], errors: dict[str, str], warnings: list[str] | None = None) -> None:
    """Print what the client returned in each case, and what its exceptions said."""
    report = {"version": version, "answers": answers, "errors": errors, "warnings": warnings or []}
    json.dump(report, sys.stdout, default=lambda array: array.tolist())
