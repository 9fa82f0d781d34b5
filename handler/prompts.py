"""Chooses the prompt of a model for a kind of text: providers name kinds (`input_type`, `task`), models name their prompts.

Law: a table, and nothing of requests.
"""

from collections.abc import Container

QUERY = ("query", "s2p_query", "search_query")
DOCUMENT = ("document", "passage", "search_document", "corpus")
PROMPTS = {
    **dict.fromkeys(("query", "search_query", "retrieval.query"), QUERY),
    **dict.fromkeys(("document", "passage", "search_document", "retrieval.passage"), DOCUMENT),
}
"""By the providers' names of kinds: the names that models give to the prompt of that kind; the first that a model has counts."""


def prompt_for(kind: str, known: Container[str]) -> str | None:
    """Return the name of the prompt for a kind of text; None if the model has none, so that its default prompt counts.

    A prompt with exactly the kind's name comes first.
    """
    return next((name for name in (kind, *PROMPTS.get(kind, ())) if name in known), None)
