"""Count the resources of template.yaml, and read its defaults."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


def count_resources(kind: str, condition: str | None = None) -> int:
    """Count the resources of a type that the template makes under a condition."""
    made = [resource for resource in _template()["Resources"].values() if resource["Type"] == f"AWS::{kind}"]
    return sum(resource.get("Condition") == condition for resource in made)


def default(parameter: str) -> int:
    """Return the default of a parameter of the template."""
    return int(_template()["Parameters"][parameter]["Default"])


@cache
def _template() -> dict[str, Any]:
    """Read template.yaml without CloudFormation's functions, which do not matter for these counts."""
    template: dict[str, Any] = yaml.load(TEMPLATE.read_bytes(), _Plain)  # noqa: S506 - a safe loader
    return template


class _Plain(yaml.SafeLoader):  # type: ignore[misc] # its library has no types
    """Reads "!Ref" and the other functions as None."""


_Plain.add_multi_constructor("!", lambda *_: None)
