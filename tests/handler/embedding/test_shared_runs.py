"""Texts of the same length are grouped into runs of the model."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from handler.embedding.runner import shared_runs


@given(lengths=st.lists(st.integers(1, 12)), most=st.integers(0, 30))
def test_every_text_is_in_one_run_with_texts_of_its_length(lengths: list[int], most: int) -> None:
    """A run has at most the allowed number of tokens, unless it is a single text."""
    runs = shared_runs(lengths, most)
    assert Counter(place for run in runs for place in run) == Counter(range(len(lengths)))
    for run in runs:
        assert len({lengths[place] for place in run}) == 1
        assert len(run) == 1 or sum(lengths[place] for place in run) <= most


@given(lengths=st.lists(st.integers(1, 12)), most=st.integers(0, 30))
def test_the_longest_texts_come_first(lengths: list[int], most: int) -> None:
    """All threads, which take one run after another, then finish at about the same time."""
    lengths_of_runs = [lengths[run[0]] for run in shared_runs(lengths, most)]
    assert lengths_of_runs == sorted(lengths_of_runs, reverse=True)


@given(length=st.integers(1, 12), count=st.integers(1, 40), most=st.integers(12, 60))
def test_texts_of_the_same_length_take_as_few_runs_as_possible(length: int, count: int, most: int) -> None:
    """Every run except the last is full."""
    assert len(shared_runs([length] * count, most)) == -(-count // (most // length))
