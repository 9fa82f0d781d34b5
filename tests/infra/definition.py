"""Read the state machine's definition as Step Functions receives it. `python -m tests.infra.definition` prints it as JSON."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from tests.infra.transformed import transformed

type Definition = dict[str, Any]

SUBSTITUTIONS = {
    "AWS::Partition": "aws",
    "Function": "arn:aws:lambda:us-east-1:123456789012:function:embeddings-pipeline:live",
    "CorpusBucket": "corpus",
    "CorpusPrefix": "passages/",
    "ReceiptsBucket": "receipts",
    "TextField": "passage",
    "BatchSize": "500",
    "Concurrency": "2",
    "ToleratedFailurePercentage": "0",
}


def filled(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Put values in place of substitutions, as CloudFormation does."""
    match value:
        case {"Fn::Sub": text}:
            return filled(text)
        case dict():
            return {name: filled(inner) for name, inner in value.items()}
        case list():
            return [filled(inner) for inner in value]
        case str():
            return re.sub(r"\$\{([\w:]+)\}", lambda found: SUBSTITUTIONS[found[1]], value)
    return value


def definition() -> Definition:
    """Return the definition with example values."""
    found: Definition = filled(transformed()["Resources"]["Bulk"]["Properties"]["Definition"])
    return found


def states(machine: Definition) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every state with its name, those inside maps too."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


if __name__ == "__main__":
    json.dump(definition(), sys.stdout, indent=1)
