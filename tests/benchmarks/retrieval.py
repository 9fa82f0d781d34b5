"""Measure how many questions find their answer, by the size of chunks, by the type of vectors, and by the model's precision.

If RERANKER_DIR names the folder of a cross-encoder, it is measured too.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

from handler.bootstrap import load_service
from handler.chunking import Chunking
from handler.service import Service
from handler.vector_types import TYPES
from handler.vectors import Vectors
from tests.retrieval.corpus import Document, Question, documents, questions
from tests.retrieval.measuring import Passage, embed, judge, rerank, score, split

from .effort import Effort
from .models import FP32, INT8
from .tables import Table

CHUNKINGS = (None, Chunking(256, 0), Chunking(256, 32), Chunking(128, 0), Chunking(128, 32), Chunking(64, 0), Chunking(64, 16))
"""None stands for documents that are not split: the model reads their beginning."""
USED = Chunking(256, 32)
"""The chunks of the second table."""
RERANKED = 50
COMPARED = ("float32", "int8", "binary")
"""uint8 and ubinary are the same vectors in unsigned bytes."""
FIGURES = {"recall@1": ".3f", "recall@5": ".3f", "MRR": ".3f", "passage@5": ".3f"}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents, and questions about them."""

    documents: dict[str, Document]
    questions: Sequence[Question]

    @property
    def note(self) -> str:
        """A sentence about its size."""
        return f"{len(self.questions)} questions, each answered by one of {len(self.documents)} topics of Python's documentation;"


def tables(effort: Effort) -> Iterator[Table]:
    """Make one table by chunks, and one by model and vectors."""
    corpus = _corpus(effort.questions)
    services = {name: load_service({"MODEL_DIR": str(folder)}) for name, folder in (("int8", INT8), ("fp32", FP32))}
    service = services["int8"]
    queries = embed([each.question for each in corpus.questions], service, "query")
    yield Table(
        "Retrieval: by chunks",
        [
            corpus.note,
            "int8 model, float32 vectors; the rank of a document is that of its best passage; passage@5: the whole answer",
            "is in one of the best five passages, where a document that is not split counts as one passage",
        ],
        {"chunks": "s", "passages": "d"} | FIGURES,
        [_by_chunks(corpus, queries, service, chunking) for chunking in CHUNKINGS],
    )
    yield Table(
        "Retrieval: by model and vectors",
        [
            corpus.note,
            f"chunks of {_named(USED)}; the float32 vector of a question is compared with the numbers that small vectors stand for",
        ],
        {"model, vectors": "s", "bytes a vector": "d"} | FIGURES,
        list(_by_vectors(corpus, services)),
    )
    if folder := os.environ.get("RERANKER_DIR"):
        yield Table(
            "Retrieval: reranked",
            [corpus.note, f"chunks of {_named(USED)}, int8 model, float32 vectors, and the reranker in {folder}"],
            {"order": "s"} | FIGURES,
            list(_by_reranking(corpus, queries, load_service({"MODEL_DIR": str(INT8), "RERANKER_DIR": folder}))),
        )


def _corpus(count: int) -> Corpus:
    """Return the first questions and the documents that answer them, or everything."""
    asked, texts = questions(), documents()
    if count >= len(asked):
        return Corpus(dict(texts), asked)
    few = asked[:count]
    return Corpus({each.document: texts[each.document] for each in few}, few)


def _by_chunks(corpus: Corpus, queries: Vectors, service: Service, chunking: Chunking | None) -> tuple[str | float, ...]:
    passages = split(corpus.documents, service, chunking)
    vectors = embed([passage.text for passage in passages], service, "document")
    return (_named(chunking), len(passages), *_quality(corpus, passages, score(queries, vectors, service)))


def _by_vectors(corpus: Corpus, services: dict[str, Service]) -> Iterator[tuple[str | float, ...]]:
    for name, service in services.items():
        passages = split(corpus.documents, service, USED)
        queries = embed([each.question for each in corpus.questions], service, "query")
        vectors = embed([passage.text for passage in passages], service, "document")
        for kind in COMPARED:
            figures = _quality(corpus, passages, score(queries, vectors, service, kind))
            yield (f"{name} model, {kind}", TYPES[kind].vector_bytes(service.manifest.dimension), *figures)


def _by_reranking(corpus: Corpus, queries: Vectors, service: Service) -> Iterator[tuple[str | float, ...]]:
    assert service.reranker
    passages = split(corpus.documents, service, USED)
    found = score(queries, embed([passage.text for passage in passages], service, "document"), service)
    yield ("as found", *_quality(corpus, passages, found))
    reranked = rerank(found, passages, corpus.questions, service.reranker, RERANKED)
    yield (f"the best {RERANKED} reranked", *_quality(corpus, passages, reranked))


def _quality(corpus: Corpus, passages: Sequence[Passage], scores: Vectors) -> tuple[float, ...]:
    return astuple(judge(scores, passages, corpus.questions, corpus.documents))


def _named(chunking: Chunking | None) -> str:
    return f"{chunking.tokens} tokens, overlap {chunking.overlap}" if chunking else "none"
