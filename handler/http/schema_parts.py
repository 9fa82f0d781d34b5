"""The parts of which several schemas of the OpenAPI document are made."""

from typing import Any

TEXT = "Today is a sunny day and I will get some ice cream."
TEXTS = {
    "oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}]
}
COUNT = {"type": "integer", "minimum": 0}
VECTOR = {"type": "array", "items": {"type": "number"}}
OPTIONS: dict[str, Any] = {
    "normalize": {"type": ["boolean", "null"], "default": True, "description": "Scale each vector to the length 1."},
    "prompt_name": {"type": ["string", "null"], "description": "The name of a prompt of the model; /info lists them."},
    "truncate": {
        "enum": [True, False, "NONE", "START", "END", None],
        "description": "true truncates a text that is longer than the model's limit; false or `NONE` refuses it; `START` and `END` "
        "truncate it at that end.",
    },
    "truncation_direction": {
        "enum": ["Left", "left", "Right", "right", None],
        "default": "right",
        "description": "The end from which a text is truncated.",
    },
    "dimensions": {
        "type": ["integer", "null"],
        "minimum": 1,
        "description": "Keep this many dimensions from the first, then normalize.",
    },
}


def object_of(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Make the schema of an object with these properties, of which some are required."""
    return {"type": "object", "properties": properties, "required": list(required), **more}
