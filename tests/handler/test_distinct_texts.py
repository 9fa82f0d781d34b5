"""A repeated text of a call is found again, and errors can name its first occurrence."""

from hypothesis import given
from hypothesis import strategies as st

from handler.distinct_texts import DistinctTexts


@given(texts=st.lists(st.sampled_from(["a", "b", "c", "A", ""])))
def test_each_text_is_there_once_with_its_first_index_and_all_its_places(texts: list[str]) -> None:
    """The order is that in which the texts come first."""
    distinct = DistinctTexts.of(texts)
    assert [distinct.texts[place] for place in distinct.places] == texts
    assert len(set(distinct.texts)) == len(distinct.texts)
    assert distinct.first == sorted(texts.index(text) for text in set(texts))
    assert [texts[index] for index in distinct.first] == distinct.texts
