"""Measure how well a model finds the answers of the corpus: its documents split into passages, and all questions asked.

    recall@1, recall@5   the share of the questions whose right document is the first found, or among the first five
    MRR                  the mean of 1 / rank of the right document
    passage@5            the share of the questions whose answer is in one of the best five passages

A document's rank is that of its best passage. No model was fitted to this corpus, and nothing is random.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

import numpy as np

from events.search.scoring import Scorer
from handler.chunking import Chunk, Chunking
from handler.prompts import prompt_for
from handler.service import Options, Reranker, Service
from handler.vector_types import ModelTypes
from handler.vectors import Vectors
from tests.retrieval.corpus import Document, Question

CALL = 32
"""The texts that are embedded at once."""
FIRST = 5


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document: its characters from `start` to before `end`."""

    document: str
    start: int
    end: int
    text: str

    def answers(self, question: Question, answer: tuple[int, int]) -> bool:
        """Return whether the whole answer, which has a place in the right document, is in this passage."""
        return self.document == question.document and self.start <= answer[0] and answer[1] <= self.end


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of one measurement; this module's docstring describes them."""

    recall_1: float
    recall_5: float
    mrr: float
    passage_5: float


def split(documents: Mapping[str, Document], service: Service, chunking: Chunking | None) -> list[Passage]:
    """Split the documents into chunks. Without `chunking` each is one passage, of which the model reads what fits."""
    return [
        Passage(document.id, chunk.start, chunk.end, document.text[chunk.start : chunk.end])
        for document in documents.values()
        for chunk in ([Chunk(0, len(document.text))] if chunking is None else service.chunks_of(document.text, Options(), chunking))
    ]


def embed(texts: Sequence[str], service: Service, kind: str) -> Vectors:
    """Embed texts as float32 vectors, with the model's prompt for a kind of text (`query` or `document`) if it has one."""
    options = Options(prompt_name=prompt_for(kind, service.manifest.prompts))
    return np.concatenate([service.embed(list(batch), options).vectors for batch in batched(texts, CALL, strict=False)])


def score(queries: Vectors, vectors: Vectors, service: Service, type_name: str = "float32") -> Vectors:
    """Score every passage for every question as `make search` does, whose file has vectors of a type."""
    manifest = service.manifest
    types = ModelTypes(manifest.dimension, manifest.ranges)
    stored, ranges = types.make(vectors, type_name), types.ranges(manifest.dimension)
    return np.stack([Scorer(query, manifest.similarity, type_name, ranges).score(stored) for query in queries])


def rerank(scores: Vectors, passages: Sequence[Passage], questions: Sequence[Question], reranker: Reranker, count: int) -> Vectors:
    """Return scores by which the best `count` passages of each question have the reranker's order, and the others follow."""
    reranked = np.empty_like(scores)
    for question, before, after in zip(questions, scores, reranked, strict=True):
        order = np.argsort(-before, kind="stable")
        best, others = order[:count], order[count:]
        after[best] = reranker.score(question.question, [passages[place].text for place in best], Options()).vectors
        after[others] = after[best].min() - 1 - np.arange(len(others))
    return reranked


def judge(
    scores: Vectors, passages: Sequence[Passage], questions: Sequence[Question], documents: Mapping[str, Document]
) -> Quality:
    """Compare the order of the passages with what is known."""
    ranks, hits = [], []
    for question, row in zip(questions, scores, strict=True):
        order = [passages[place] for place in np.argsort(-row, kind="stable")]
        ranks.append(list(dict.fromkeys(passage.document for passage in order)).index(question.document) + 1)
        answer = question.find(documents[question.document].text)
        hits.append(any(passage.answers(question, answer) for passage in order[:FIRST]))
    placed = np.array(ranks)
    return Quality(
        float(np.mean(placed == 1)),
        float(np.mean(placed <= FIRST)),
        float(np.mean(1 / placed)),
        float(np.mean(hits)),
    )
