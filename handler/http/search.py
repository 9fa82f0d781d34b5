"""Search: the passages of the deployment's index that are closest to a query. The deployment must have an index.

With `rerank`, the best passages of the index are ordered again by handler/reranking.py, which reads their text in the metadata.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import orjson
from fastapi import Response

from handler.errors import TooLarge, Validation, kind, naming, shown
from handler.http.errors import NotFound
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response
from handler.parsing import flag, integer, options, text
from handler.prompts import prompt_for
from handler.reranking import rank
from handler.search import MOST_RESULTS, Match, SearchIndex
from handler.service import Embeddings, Options
from handler.similarity import comparable
from handler.vectors import Vectors

DEFAULT_RESULTS = 10
TEXT = "text"
"""The field of the metadata that has a passage's text."""
NO_INDEX = "This deployment has no index to search: deploy it with the parameter Search=true, or with SearchIndexArn"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A query as text or as vector, and the results that the client wants.

    `reranked` is the number of passages that are ordered again; 0 for none. `conditions` is the filter.
    """

    query: str
    vector: Vectors | None
    options: Options
    count: int
    reranked: int
    conditions: Mapping[str, Any] | None
    return_metadata: bool


def search(request: HttpRequest) -> Response:
    """Respond with the closest passages, the closest first: `[{"id", "score", "metadata"}]`."""
    arn, manifest = request.service.settings.search_index_arn, request.service.manifest
    if not arn:
        raise NotFound(NO_INDEX)
    asked = read(request.fields(), manifest.dimension)
    index = open_index(arn, os.getpid())
    index.check(manifest, request.deadline)
    result, vector = _vector(request, asked)
    with_metadata = asked.return_metadata or bool(asked.reranked)
    found = index.find(vector, asked.reranked or asked.count, asked.conditions, request.deadline, with_metadata=with_metadata)
    if asked.reranked and found:
        result, found = _reranked(request, asked, found)
    content = orjson.dumps([_shown(match, asked) for match in found], option=orjson.OPT_SERIALIZE_NUMPY)
    _check_size(request, content, len(found))
    request.figures["results"] = len(found)
    if result is None:
        return Response(content, media_type="application/json")
    return embedding_response(request, content, result)


@cache
def open_index(arn: str, process: int) -> SearchIndex:
    """Return the index with this ARN; the same one each time, because it keeps its connections and what it has checked.

    A forked process has none of its threads, so each process has its own.
    """
    del process
    return SearchIndex(arn)


def read(fields: Mapping[str, Any], dimension: int) -> SearchRequest:
    """Read the fields of a search; unknown fields are ignored.

    Raises:
        Empty: the query is empty.
        Validation: a field is missing or has the wrong type or value; the sentence names it.
    """
    given = [name for name in ("query", "vector") if fields.get(name) is not None]
    if len(given) != 1:
        msg = f"A search needs either `query`, a text, or `vector`. Given: {' and '.join(given) or 'neither'}"
        raise Validation(msg)
    has_text = given == ["query"]
    count = _count(fields, "k") or DEFAULT_RESULTS
    reranked = _count(fields, "rerank")
    if reranked and not has_text:
        msg = "`rerank` needs `query`: a reranker reads the text of the query, and `vector` has none"
        raise Validation(msg)
    if reranked and reranked < count:
        msg = f"`rerank` must be at least `k`, because the results are chosen among so many passages. Given: {reranked} < {count}"
        raise Validation(msg)
    return SearchRequest(
        query=text(fields, "query") if has_text else "",
        vector=None if has_text else _read_vector(fields["vector"], dimension),
        options=options(fields),
        count=count,
        reranked=reranked,
        conditions=_conditions(fields),
        return_metadata=flag(fields, "return_metadata"),
    )


def _vector(request: HttpRequest, asked: SearchRequest) -> tuple[Embeddings[Vectors] | None, Vectors]:
    """Return the query's vector, and its embedding if the query is a text: with the model's prompt for queries."""
    if asked.vector is not None:
        return None, asked.vector
    manifest = request.service.manifest
    prompt = asked.options.prompt_name
    wanted = replace(
        comparable(asked.options, manifest),
        prompt_name=prompt_for("query", manifest.prompts) if prompt is None else prompt,
        dimensions=None,
    )
    with naming(("query", 1)):
        result = request.embed([asked.query], wanted)
    return result, result.vectors[0]


def _reranked(request: HttpRequest, asked: SearchRequest, found: Sequence[Match]) -> tuple[Embeddings[Any], list[Match]]:
    """Return the best of the passages by the reranker's scores, and what the work took.

    Raises:
        Validation: a passage has no text.
    """
    texts = [match.metadata.get(TEXT) for match in found]
    without = sum(not isinstance(one, str) or not one for one in texts)
    if without:
        msg = f"`rerank` needs the text of each passage in its metadata as `{TEXT}`; {without} of {len(found)} passages have none"
        raise Validation(msg)
    wanted = request.cached(replace(asked.options, prompt_name=None))
    with naming(("query", 1), ("passages", len(texts))):
        ranking = rank(request.service, asked.query, [str(one) for one in texts], wanted, deadline=request.deadline)
    return ranking.work, [replace(found[index], score=ranking.scores[index]) for index in ranking.order[: asked.count]]


def _shown(match: Match, asked: SearchRequest) -> dict[str, Any]:
    metadata = {"metadata": match.metadata} if asked.return_metadata else {}
    return {"id": match.id, "score": match.score, **metadata}


def _check_size(request: HttpRequest, content: bytes, count: int) -> None:
    """Refuse a response that its front door cannot carry. Its size is known only now, because the index holds the passages.

    Raises:
        TooLarge: the sentence says how to ask for less.
    """
    in_envelope = len(content) + content.count(b'"') + content.count(b"\\")
    try:
        request.door.check_response(1, in_envelope, "result")
    except TooLarge:
        msg = (
            f"the {count} results have {in_envelope} bytes, more than fits through {request.door.name}: "
            "ask for fewer with `k`, or set `return_metadata` to false"
        )
        raise TooLarge(msg) from None


def _count(fields: Mapping[str, Any], name: str) -> int:
    """Return a number of results; 0 if the field is missing."""
    count = integer(fields, name)
    if count is None:
        return 0
    if not 1 <= count <= MOST_RESULTS:
        msg = f"`{name}` must be between 1 and {MOST_RESULTS}. Given: {shown(count)}"
        raise Validation(msg)
    return count


def _conditions(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the filter. S3 Vectors knows its grammar; an empty one is none.

    Raises:
        Validation: it is no object.
    """
    conditions = fields.get("filter")
    if conditions is not None and not isinstance(conditions, dict):
        msg = f'`filter` must be an object such as {{"source": "handbook"}}. Given: {kind(conditions)}'
        raise Validation(msg)
    return conditions or None


def _read_vector(value: object, dimension: int) -> Vectors:
    """Return a client's own vector.

    Raises:
        Validation: it is no list of `dimension` finite numbers, or all of them are 0.
    """
    if not isinstance(value, list) or not all(isinstance(number, int | float) and not isinstance(number, bool) for number in value):
        msg = f"`vector` must be a list of {dimension} numbers. Given: {kind(value)}"
        raise Validation(msg)
    if len(value) != dimension:
        msg = f"`vector` must have {dimension} numbers. Given: {len(value)}"
        raise Validation(msg)
    with np.errstate(over="ignore"):
        vector = np.array([_float(number) for number in value]).astype(np.float32)
    if not np.isfinite(vector).all() or not vector.any():
        msg = "`vector` must have numbers that float32 can hold, and not only zeros"
        raise Validation(msg)
    return vector


def _float(number: float) -> float:
    """Return a number as a float; infinity for an integer that is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return float("inf")
