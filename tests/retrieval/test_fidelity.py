"""Users find as much with the int8 model as with the float32 one, and as much with small vectors as with float32 ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pytest

from handler.chunking import Chunking
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vector, Vectors
from tests.retrieval.corpus import documents, questions
from tests.retrieval.measuring import Passage, Quality, embed, judge, rerank, score, split

CHUNKS = Chunking(128, 0)
MARGIN = 0.03
"""The part of the questions, two of 92, whose answer the smaller model or vector may fail to find where the larger one finds it."""
BITS_MARGIN = 0.1
"""The same for one bit a dimension."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The questions and some passages with the vectors that one model has for them."""

    service: Service
    passages: Sequence[Passage]
    queries: Vectors
    vectors: Vectors

    @classmethod
    def by(cls, service: Service) -> Self:
        """Embed the passages that answer a question, and the first one of each document to confuse them with."""
        texts, asked = documents(), questions()
        answers = [(question, question.find(texts[question.document].text)) for question in asked]
        everything = split(texts, service, CHUNKS)
        passages = [each for each in everything if not each.start or any(each.answers(*answer) for answer in answers)]
        queries = embed([question.question for question in asked], service, "query")
        return cls(service, passages, queries, embed([passage.text for passage in passages], service, "document"))

    def judge(self, type_name: str = "float32") -> Quality:
        """Ask all questions of passages with vectors of a type."""
        scores = score(self.queries, self.vectors, self.service, type_name)
        return judge(scores, self.passages, questions(), documents())


@pytest.fixture(scope="module")
def ours(service: Service) -> Embedded:
    """Provide what the int8 model embeds."""
    return Embedded.by(service)


def test_the_int8_model_finds_as_much_as_the_float32_model(ours: Embedded, exact_service: Service) -> None:
    """The margin is of questions and not of cosines: it is what a user notices."""
    exact = Embedded.by(exact_service)
    assert len(ours.passages) == len(exact.passages) > 100
    assert not np.array_equal(ours.vectors, exact.vectors)
    assert exact.judge().recall_5 > 0.8
    assert ours.judge().recall_5 >= exact.judge().recall_5 - MARGIN
    assert ours.judge().mrr >= exact.judge().mrr - MARGIN


@pytest.mark.parametrize(
    ("name", "margin"), [("int8", MARGIN), ("uint8", MARGIN), ("binary", BITS_MARGIN), ("ubinary", BITS_MARGIN)]
)
def test_small_vectors_find_as_much_as_float32_vectors(ours: Embedded, name: str, margin: float) -> None:
    """They are compared with the float32 vector of the question, as in `make search`."""
    assert ours.judge(name).recall_5 >= ours.judge().recall_5 - margin


class LongestFirst:
    """A reranker that prefers long texts."""

    manifest = None

    def score(self, query: str, documents: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vector]:
        """Return the lengths."""
        del query, options, deadline
        lengths = [len(document) for document in documents]
        return Embeddings(np.array(lengths, np.float32), lengths, [False] * len(lengths), sum(lengths), 256, 0, 0)


def test_reranking_reorders_the_best_passages_and_no_others() -> None:
    """The longest passage of all is not among the best three, and keeps its place."""
    passages = [Passage("a", 0, 1, text) for text in ("aa", "a", "aaa", "aaaaa", "aaaa")]
    scores = np.array([[0.9, 0.8, 0.7, 0.1, 0.2]], np.float32)
    reranked = rerank(scores, passages, questions()[:1], LongestFirst(), 3)
    assert np.argsort(-reranked[0]).tolist() == [2, 0, 1, 4, 3]


def test_a_passage_that_is_found_first_and_one_that_is_found_last_have_their_figures() -> None:
    """By hand: two questions, of which one finds its passage first, and the other its document second and its passage sixth."""
    asked, texts = questions()[:2], documents()
    first, second = (each.find(texts[each.document].text) for each in asked)
    assert asked[0].document != asked[1].document
    right = [Passage(asked[0].document, *first, "a"), Passage(asked[1].document, *second, "b")]
    others = [Passage(asked[1].document, 0, 1, "c")] * 4
    scores = np.array([[9, 1, 2, 3, 4, 5], [9, 1, 5, 4, 3, 2]], np.float32)
    found = judge(scores, [*right, *others], asked, texts)
    assert found == Quality(recall_1=0.5, recall_5=1.0, mrr=0.75, passage_5=0.5)
