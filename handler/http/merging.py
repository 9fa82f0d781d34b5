"""The fields of a Hugging Face body, brought to one level: clients of different years put the options into different objects."""

from collections.abc import Mapping
from typing import Any

from handler.errors import Validation, shown

ERAS = ("parameters", "options")
"""Objects in which clients of different years put the options; the later of two wins, and both win over the root."""


def merged(body: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """Bring the fields of a body from any year to one level. A bare string or list is taken as `inputs`.

    Raises:
        Validation: the body, `parameters` or `options` is not an object.
    """
    if isinstance(body, str | list):
        return {"inputs": body}
    if not isinstance(body, dict):
        msg = 'The body must be an object like {"inputs": "a text"}, a string or a list of strings'
        raise Validation(msg)
    fields = dict(body)
    for era in ERAS:
        options = fields.pop(era, None)
        if options is None:
            continue
        if not isinstance(options, dict):
            msg = f"`{era}` must be an object. Given: {shown(options)}"
            raise Validation(msg)
        fields |= {name: value for name, value in options.items() if name != "inputs"}
    return fields
