"""The paths of feature extraction, and the events of events/ with other fields."""

import json
from typing import Any

from tests.conftest import ROOT

SERVED = "sentence-transformers/all-MiniLM-L6-v2"
PATHS = (
    "/",
    "/embed",
    "/invocations",
    f"/pipeline/feature-extraction/{SERVED}",
    f"/models/{SERVED}",
    "/models/all-MiniLM-L6-v2",
    f"/models/{SERVED}/pipeline/feature-extraction",
    f"/hf-inference/models/{SERVED}/pipeline/feature-extraction",
)


def event(name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of an event
    """Read an event of events/ and change some of its fields."""
    fields: dict[str, Any] = json.loads((ROOT / f"events/{name}.json").read_text())
    return fields | changes
