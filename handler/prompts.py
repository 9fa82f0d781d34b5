"""Chooses the prompt of a model for a kind of text: providers name kinds (`input_type`, `task`), models name their prompts.

Law: a table, and nothing of one provider's requests.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from handler.embedding.manifest import NO_PROMPT
from handler.errors import shown
from handler.parsing import string

QUERY = ("query", "s2p_query", "search_query")
DOCUMENT = ("document", "passage", "search_document", "corpus")
PROMPTS = {
    **dict.fromkeys(("query", "search_query", "retrieval.query"), QUERY),
    **dict.fromkeys(("document", "passage", "search_document", "retrieval.passage"), DOCUMENT),
}
"""By the providers' names of kinds: the names that models give to the prompt of that kind; the first that a model has counts."""


def prompt_for(kind: str, known: Container[str]) -> str | None:
    """Return the name of the prompt for a kind of text; None if the model has none.

    A prompt with exactly the kind's name comes first.
    """
    return next((name for name in (kind, *PROMPTS.get(kind, ())) if name in known), None)


def with_prompt(fields: Mapping[str, Any], kinds: Sequence[str], known: Container[str]) -> tuple[Mapping[str, Any], str]:
    """Return a request's fields with the `prompt_name` for the kind of text, and a warning if the model has none.

    The first of the fields `kinds` that is there names the kind. A `prompt_name` of the request's own wins.

    Raises:
        Validation: such a field is not a string.
    """
    named = [(name, kind) for name in kinds if (kind := string(fields, name))]
    if not named or fields.get("prompt_name") is not None:
        return fields, ""
    name, kind = named[0]
    prompt = prompt_for(kind, known)
    if prompt is not None:
        return {**fields, "prompt_name": prompt}, ""
    said = shown(kind).encode("ascii", "backslashreplace").decode()  # in a header
    return {**fields, "prompt_name": NO_PROMPT}, f"{name}; the model has no prompt for {said}"
