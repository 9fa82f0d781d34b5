"""The state machine's definition is valid in the Amazon States Language, and within the quotas of Step Functions."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.infra.definition import Definition, definition, states
from tests.infra.transformed import every, transformed

TASK_BYTES = 262_144
"""The most bytes that a scheduled task may carry (Step Functions developer guide, "Quotas")."""
EXPRESS_SECONDS = 300
"""The most seconds that an express workflow may run (same page)."""
LONGEST_ARN = f"arn:aws-us-gov:lambda:us-gov-northeast-1:{'9' * 12}:function:{'f' * 64}:live"
ESCAPE = "\\u0000"
"""The longest form of a character in JSON."""


@pytest.fixture(scope="module")
def machine() -> Definition:
    """Return the definition as it is deployed."""
    return definition()


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    """Return the template's parameters."""
    found: dict[str, Any] = transformed()["Parameters"]
    return found


@pytest.fixture(scope="module")
def tasks(machine: Definition) -> list[dict[str, Any]]:
    """Return the task of every map."""
    return [state for _, state in states(machine) if state["Type"] == "Task"]


def test_no_two_states_have_the_same_name(machine: Definition) -> None:
    """CloudFormation refuses names that are not unique in the whole definition, maps included. moto does not."""
    counted = Counter(name for name, _ in states(machine))
    assert [name for name, times in counted.items() if times > 1] == []
    assert len([name for name in counted if name.startswith("Embed")]) == 4


def test_every_state_that_is_named_exists(machine: Definition) -> None:
    """Each map starts at a state of its own."""
    for _, state in [
        ("", machine),
        *((name, inner["ItemProcessor"]) for name, inner in states(machine) if "ItemProcessor" in inner),
    ]:
        assert state["StartAt"] in state["States"]
        assert set(every(state["States"], "Next")) <= {name for name, _ in states(machine)}


def test_the_largest_batch_fits_into_a_task(machine: Definition, tasks: list[dict[str, Any]], parameters: dict[str, Any]) -> None:
    """AWS does not document if commas and BatchInput count as bytes of a batch, so the limit leaves room for both."""
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
    """Every invocation has a fixed cost, so smaller batches cost more."""
    assert {batcher["MaxInputBytesPerBatch"] for batcher in every(machine, "ItemBatcher")} == {245_000}


def longest_waits(task: dict[str, Any]) -> float:
    """Return the most seconds that all retries of a task wait together; full jitter only shortens waits."""
    return sum(
        min(float(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt), float(retry["MaxDelaySeconds"]))
        for retry in task["Retry"]
        for attempt in range(retry["MaxAttempts"])
    )


def test_a_batch_ends_before_its_state_and_its_state_before_its_execution(tasks: list[dict[str, Any]]) -> None:
    """The longest wait of every retry counts. Otherwise States.Timeout, which is not retried, would hide the reason.

    The deadline counts from when the state was entered, which all attempts share, so no attempt can extend it.
    """
    assert len(tasks) == 4
    for task in tasks:
        given = task["Parameters"]["Payload"]["BatchInput"]
        assert given["started.$"] == "$$.State.EnteredTime"
        assert given["seconds"] < task["TimeoutSeconds"] < EXPRESS_SECONDS
        assert given["seconds"] + longest_waits(task) <= EXPRESS_SECONDS
