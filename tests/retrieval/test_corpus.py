"""Each question of the corpus has exactly one right document, and one right passage in it."""

import re
from collections import Counter

from tests.retrieval.corpus import COLLECTIONS, PARTS, documents, questions

LONG = 60
"""Characters of a paragraph that is no mere title or example."""
NOTES = ("Changed in version", "Added in version", "**PEP ")
"""The first words of notes and references that several topics have."""


def test_each_question_names_a_document_that_has_its_passage_once() -> None:
    """`find` raises if the passage is missing, or there several times."""
    texts = documents()
    asked = questions()
    assert len(asked) >= 60
    assert len({question.question for question in asked}) == len(asked)
    for question in asked:
        text = texts[question.document].text
        start, end = question.find(text)
        assert " ".join(text[start:end].split()) == question.passage


def test_no_paragraph_is_in_two_documents() -> None:
    """Otherwise a question about it would have two right documents."""
    paragraphs = Counter(
        paragraph
        for document in documents().values()
        for paragraph in {" ".join(part.split()) for part in re.split(r"\n\s*\n", document.text)}
        if len(paragraph) > LONG and not paragraph.startswith(NOTES)
    )
    assert len(paragraphs) > 1000
    assert [paragraph for paragraph, count in paragraphs.items() if count > 1] == []


def test_questions_are_asked_about_most_documents() -> None:
    """The documents without a question are there to be confused with those that have one."""
    asked = {question.document for question in questions()}
    assert asked <= documents().keys()
    assert len(asked) >= 0.9 * len(documents())
    assert not (COLLECTIONS | PARTS) & documents().keys()


def test_titles_are_the_first_lines() -> None:
    """They are plain text."""
    assert documents()["assert"].title == "The assert statement"
