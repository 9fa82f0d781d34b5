"""The choice of a model's prompt by a provider's name for a kind of text."""

import pytest

from handler.prompts import prompt_for


@pytest.mark.parametrize(
    ("kind", "known", "name"),
    [
        ("query", ["query", "passage"], "query"),
        ("search_query", ["query", "passage"], "query"),
        ("retrieval.query", ["s2p_query", "s2s_query"], "s2p_query"),
        ("search_query", ["query", "search_query"], "search_query"),
        ("query", ["search_query", "s2p_query"], "s2p_query"),
        ("document", ["query", "passage"], "passage"),
        ("search_document", ["corpus"], "corpus"),
        ("retrieval.passage", ["passage", "document"], "document"),
        ("passage", ["passage", "document"], "passage"),
        ("classification", ["query", "classification"], "classification"),
        ("classification", ["query"], None),
        ("document", ["query"], None),
        ("query", [], None),
        ("", ["query"], None),
    ],
)
def test_an_exact_name_comes_first_then_the_names_that_models_give_to_the_kind(
    kind: str, known: list[str], name: str | None
) -> None:
    """A kind that no prompt fits has none."""
    assert prompt_for(kind, known) == name
