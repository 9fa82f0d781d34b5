"""The fields that other providers have on OpenAI's path: Voyage, Jina, NVIDIA and Mistral name the same options otherwise.

Law: fields in, fields of the one contract out.
"""

from collections.abc import Container, Mapping
from typing import Any

from handler.errors import Validation, kind
from handler.prompts import with_prompt

KINDS = ("input_type", "task")
"""The fields that name the kind of text: of Voyage and NVIDIA, and of Jina."""
NAMES = {
    "output_dimension": "dimensions",  # Voyage, Mistral
    "truncation": "truncate",  # Voyage
    "normalized": "normalize",  # Jina
    "embedding_type": "output_dtype",  # Jina, NVIDIA
}
"""Our names of options, by those of providers. `output_dtype`, `dimensions` and `truncate` are the same."""
REFUSED = {
    "late_chunking": "each text gets a vector of its own",
    "return_multivector": "for the vectors of tokens, use /embed_all",
}
"""Options of Jina that this endpoint does not have, with the reason or a way out; false is the same as none."""


def translate(fields: Mapping[str, Any], prompts: Container[str]) -> tuple[dict[str, Any], str]:
    """Return the fields under our names, and a warning if the model has no prompt for the kind of text. Our own names win.

    Raises:
        Validation: an option is one that this endpoint does not have, or names several types of vectors.
    """
    for name, reason in REFUSED.items():
        if fields.get(name):
            msg = f"`{name}` is not supported: {reason}"
            raise Validation(msg)
    ours, warning = with_prompt(fields, KINDS, prompts)
    found = dict(ours)
    for theirs, name in NAMES.items():
        if found.get(name) is None and found.get(theirs) is not None:
            found[name] = found[theirs]
    return _encoding(found), warning


def text_of(item: object, place: str) -> object:
    """Return the text of an input that is an object, as Jina's are; any other input as it is.

    Raises:
        Validation: the object has something other than a text.
    """
    if not isinstance(item, dict):
        return item
    if item.keys() == {"text"}:
        return item["text"]
    others = ", ".join(f"`{name:.32}`" for name in item if name != "text") or "nothing"
    msg = f"`{place}` must be a string or an object with a `text` alone: this model embeds text. Given: {others}"
    raise Validation(msg)


def _encoding(fields: dict[str, Any]) -> dict[str, Any]:
    """Read Jina's list of one type, and `base64`, which it names like a type."""
    value = fields.get("output_dtype")
    if isinstance(value, list):
        if len(value) != 1:
            msg = f"`embedding_type` must name one type of vectors. Given: {kind(value)} of {len(value)}"
            raise Validation(msg)
        (value,) = value
    if value == "base64":
        return fields | {"output_dtype": None, "encoding_format": "base64"}
    return fields | {"output_dtype": value}
