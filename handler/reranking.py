"""Reranking: scores how well each of some documents fits a query.

A deployment may have a reranker, a second model that reads query and document together (a cross-encoder): its scores are the best.
Without one, a score is the embedding model's own similarity function, of the query with the model's prompt for queries and of each
document with the prompt for documents, if the model has such prompts.

Law: knows nothing of HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from handler.embedding.manifest import Manifest
from handler.errors import placed_after
from handler.prompts import prompt_for
from handler.service import Embeddings, Options, Service
from handler.similarity import FUNCTIONS, comparable
from handler.vectors import NEVER, Vector, Vectors


@dataclass(frozen=True, slots=True)
class Ranking:
    """The documents of a query by their scores.

    scores: the score (float32) of each document, in the order of the documents; the higher the better.
    order: the indices of the documents, the best first; documents that are equally good keep their order.
    work: the counts and durations of the work.
    manifest: the description of the model that scored them.
    """

    scores: Vector
    order: Sequence[int]
    work: Embeddings[Any]
    manifest: Manifest


def rank(
    service: Service, query: str, documents: Sequence[str], options: Options, *, raw_scores: bool = False, deadline: float = NEVER
) -> Ranking:
    """Score each document for a query.

    Args:
        service: the models.
        query: the text that documents are compared with.
        documents: the documents; one at least.
        options: `truncate`, `truncation_direction` and `use_cache` count, and of a reranker `prompt_name`.
        raw_scores: True for a reranker's output, False for its sigmoid. A similarity is the same with both.
        deadline: the reading of time.monotonic() after which no further document is begun.

    Raises:
        EmbeddingError: for the same reasons as Service.embed. The place of a refused text is 0 for the query, and one more than its
            index for a document.
    """
    reranker = service.reranker
    if reranker is None:
        result = _embedded(service, query, documents, options, deadline)
        scores = FUNCTIONS[service.manifest.similarity](result.vectors[0], result.vectors[1:]).astype(np.float32).ravel()
        return Ranking(scores, _best_first(scores), result, service.manifest)
    scored = reranker.score(query, documents, options, deadline)
    manifest = reranker.manifest or service.manifest
    # Large scores have the same sigmoid: the order is that of the raw ones.
    return Ranking(scored.vectors if raw_scores else _sigmoid(scored.vectors), _best_first(scored.vectors), scored, manifest)


def _sigmoid(scores: Vector) -> Vector:
    with np.errstate(over="ignore"):  # of a large negative score: its sigmoid is 0
        return (1 / (1 + np.exp(-scores))).astype(np.float32)


def _best_first(scores: Vector) -> list[int]:
    return [int(index) for index in np.argsort(-scores, kind="stable")]


def _embedded(service: Service, query: str, documents: Sequence[str], options: Options, deadline: float) -> Embeddings[Vectors]:
    """Embed the query and the documents: in one call, unless their prompts differ."""
    manifest = service.manifest
    options = comparable(options, manifest)
    of_query, of_documents = (replace(options, prompt_name=prompt_for(kind, manifest.prompts)) for kind in ("query", "document"))
    if of_query == of_documents:
        return service.embed([query, *documents], of_query, deadline)
    first = service.embed([query], of_query, deadline)
    with placed_after(1):
        rest = service.embed(documents, of_documents, deadline)
    return replace(
        rest,
        vectors=np.concatenate([first.vectors, rest.vectors]),
        tokens_each=[*first.tokens_each, *rest.tokens_each],
        truncated_each=[*first.truncated_each, *rest.truncated_each],
        characters=first.characters + rest.characters,
        tokenization_ns=first.tokenization_ns + rest.tokenization_ns,
        inference_ns=first.inference_ns + rest.inference_ns,
        hits=first.hits + rest.hits,
        misses=first.misses + rest.misses,
    )
