"""The state machine's definition against the Amazon States Language, and against the quotas of Step Functions."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.infra.definition import Definition, definition, states
from tests.infra.transformed import every, transformed

TASK_BYTES = 262_144
"""The most that a scheduled task may carry (Step Functions developer guide, "Quotas")."""
EXPRESS_SECONDS = 300
"""The longest that an express workflow may run (same page)."""
LONGEST_ARN = f"arn:aws-us-gov:lambda:us-gov-northeast-1:{'9' * 12}:function:{'f' * 64}:live"
ESCAPE = "\\u0000"
"""JSON writes no character longer than this."""


@pytest.fixture(scope="module")
def machine() -> Definition:
    """The definition as it is deployed."""
    return definition()


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    """The template's parameters."""
    found: dict[str, Any] = transformed()["Parameters"]
    return found


@pytest.fixture(scope="module")
def tasks(machine: Definition) -> list[dict[str, Any]]:
    """The task of every map."""
    return [state for _, state in states(machine) if state["Type"] == "Task"]


def test_no_two_states_have_the_same_name(machine: Definition) -> None:
    """Names must be unique in the whole definition, maps included: CloudFormation says DUPLICATE_STATE_NAME, moto nothing."""
    counted = Counter(name for name, _ in states(machine))
    assert [name for name, times in counted.items() if times > 1] == []
    assert len([name for name in counted if name.startswith("Embed")]) == 4


def test_every_state_that_is_named_is_there(machine: Definition) -> None:
    """A map starts at its own state."""
    for _, state in [
        ("", machine),
        *((name, inner["ItemProcessor"]) for name, inner in states(machine) if "ItemProcessor" in inner),
    ]:
        assert state["StartAt"] in state["States"]
        assert set(every(state["States"], "Next")) <= {name for name, _ in states(machine)}


def test_the_largest_batch_fits_into_a_task(machine: Definition, tasks: list[dict[str, Any]], parameters: dict[str, Any]) -> None:
    """Whether AWS counts commas and BatchInput among a batch's bytes is not documented: both have room beside it."""
    most_items = parameters["BulkBatchSize"]["MaxValue"]
    field = ESCAPE * parameters["TextField"]["MaxLength"]
    for task in tasks:
        given = dict(task["Parameters"]["Payload"]["BatchInput"])
        assert given.pop("text_field.$") == "$.BatchInput.text_field"
        given["text_field"] = "?"
        given["use_cache"] = not given.pop("use_cache.$")
        given["started"] = "2026-11-28T18:00:00.000000000Z" if given.pop("started.$") else ""
        around = len(json.dumps({"FunctionName": LONGEST_ARN, "Payload": {"Items": [], "BatchInput": given}})) + len(field)
        for batcher in every(machine, "ItemBatcher"):
            assert batcher["MaxInputBytesPerBatch"] + len(",") * most_items + around <= TASK_BYTES


def test_a_batch_takes_nearly_all_that_a_task_may_carry(machine: Definition) -> None:
    """Each invocation of a smaller batch costs the same again."""
    assert {batcher["MaxInputBytesPerBatch"] for batcher in every(machine, "ItemBatcher")} == {245_000}


def longest_waits(task: dict[str, Any]) -> float:
    """Return the seconds that all retries of a task may wait in all: full jitter only shortens them."""
    return sum(
        min(float(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt), float(retry["MaxDelaySeconds"]))
        for retry in task["Retry"]
        for attempt in range(retry["MaxAttempts"])
    )


def test_a_batch_ends_before_its_state_and_its_state_before_its_execution(tasks: list[dict[str, Any]]) -> None:
    """With every wait of every retry: else States.Timeout, which is not retried, comes before a reason does.

    The deadline is counted from the entering of the state, which attempts share: no attempt can add to it.
    """
    assert len(tasks) == 4
    for task in tasks:
        given = task["Parameters"]["Payload"]["BatchInput"]
        assert given["started.$"] == "$$.State.EnteredTime"
        assert given["seconds"] < task["TimeoutSeconds"] < EXPRESS_SECONDS
        assert given["seconds"] + longest_waits(task) <= EXPRESS_SECONDS
