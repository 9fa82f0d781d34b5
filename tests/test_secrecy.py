"""The check of every test's log finds texts that were sent."""

import base64
import json

import pytest

from tests.secrecy import leaks, overheard

TEXT = "Nobody's business but my own."
EVENTS: dict[str, object] = {
    "a record": {"records": [{"id": "a", "inputs": TEXT}]},
    "a message's body": {"Records": [{"body": json.dumps({"inputs": TEXT})}]},
    "a notification in a message": {"Records": [{"body": json.dumps({"Message": json.dumps({"inputs": TEXT})})}]},
    "a stream's data": {"Records": [{"kinesis": {"data": base64.b64encode(TEXT.encode()).decode()}}]},
}


@pytest.mark.parametrize("name", EVENTS)
def test_a_text_that_a_function_raises_is_found(name: str) -> None:
    """The text may also be in the exception's cause."""

    def choke(*_: object) -> None:
        msg = "no text here"
        raise ValueError(msg) from KeyError(TEXT)

    with pytest.raises(ValueError, match="no text here"):
        overheard(choke)(EVENTS[name], None)
    assert leaks([]) == [TEXT]


def test_a_text_that_is_logged_is_found_and_then_forgotten() -> None:
    """The next test starts without records."""
    overheard(lambda *_: None)({"inputs": TEXT}, None)
    assert leaks([json.dumps({"event": "request", "inputs": TEXT})]) == [TEXT]
    assert leaks([TEXT]) == []
