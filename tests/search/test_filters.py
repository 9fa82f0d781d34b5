"""The front of the tests filters as the user guide of S3 Vectors says."""

from typing import Any

import pytest

from tests.search.filters import InvalidFilterError, parse

FILM = {"genre": ["documentary", "romance"], "year": 2020, "seen": True, "title": "Rain"}


@pytest.mark.parametrize(
    ("content", "matches"),
    [
        ({"title": "Rain"}, True),
        ({"title": {"$eq": "Sun"}}, False),
        ({"genre": "romance"}, True),
        ({"genre": {"$in": ["comedy", "documentary"]}}, True),
        ({"genre": {"$nin": ["comedy", "drama"]}}, True),
        ({"genre": {"$ne": "romance"}}, False),
        ({"year": {"$gte": 2020, "$lte": 2020}}, True),
        ({"year": {"$gt": 2020}}, False),
        ({"year": {"$lt": 2021}, "title": "Sun"}, False),
        ({"seen": True}, True),
        ({"seen": 1}, False),
        ({"rating": {"$exists": False}}, True),
        ({"$and": [{"title": "Rain"}, {"year": 2019}]}, False),
        ({"$or": [{"title": "Sun"}, {"$and": [{"title": "Rain"}, {"year": 2020}]}]}, True),
    ],
)
def test_a_filter_matches_metadata(content: dict[str, Any], *, matches: bool) -> None:
    """A value matches a list that contains it. Several conditions must all match."""
    assert parse(content, frozenset())(FILM) is matches


@pytest.mark.parametrize(
    "content",
    [
        *({}, [], "Rain", {"$eq": 1}, {"$or": []}, {"$and": [{}]}, {"title": {}}, {"title": None}, {"title": ["Rain"]}),
        *({"year": {"$gt": "2020"}}, {"genre": {"$in": []}}, {"title": {"$like": "R%"}}, {"seen": {"$exists": "yes"}}),
        {"text": "Rain"},
    ],
)
def test_a_filter_that_breaks_the_grammar_is_refused(content: object) -> None:
    """And so is one on a key that is not filterable."""
    with pytest.raises(InvalidFilterError):
        parse(content, frozenset({"text"}))
