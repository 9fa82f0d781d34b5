"""Search one file of vectors for the records that answer a question best."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from events.embed.output import FINGERPRINT, MODEL, PRECISION, TYPE
from events.embed.progress import Refused
from events.search.files import Batch, VectorFile
from events.search.filters import Filter
from events.search.jsonl import JsonlVectors
from events.search.parquet import ParquetVectors
from events.search.scoring import Best, Scorer
from handler.embedding.manifest import Manifest
from handler.prompts import prompt_for
from handler.service import Options, Service
from handler.vector_types import FLOAT32, TYPES, ModelTypes, VectorType

FILES: Mapping[str, Callable[[Path], VectorFile]] = {".jsonl": JsonlVectors, ".parquet": ParquetVectors}
"""The files that can be searched, by their endings."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record that was found, with its score."""

    id: str
    score: np.float32
    metadata: Mapping[str, Any]


class Search:
    """A search in one file, with the model that its vectors are of."""

    def __init__(self, path: Path, service: Service) -> None:
        """Open the file and check that its vectors can be compared with the model's.

        Raises:
            Refused: the file cannot be searched with this model; the sentence says why.
            EmbeddingError: there is no model.
        """
        self._service = service
        self._file = _open(path)
        manifest = service.manifest
        _check_model(path, self._file.properties, manifest)
        self._types = ModelTypes(manifest.dimension, manifest.ranges)
        self._type = _type_of(path, self._file, manifest, self._types)
        self._dimensions = self._file.size * self._type.dimensions

    def find(self, question: str, count: int, condition: Filter | None = None) -> list[Found]:
        """Return the `count` best of the records that fulfil the condition: the best first, of equal ones the first in the file.

        Raises:
            Refused: the file is damaged, or has vectors of different lengths.
            EmbeddingError: the question cannot be embedded.
        """
        if not self._file.size:
            return []
        scorer = self._scorer(question)
        parts = self._file.read(self._service.settings.threads, condition)
        best = Best(count)
        with ThreadPoolExecutor(len(parts)) as threads:
            for found in threads.map(lambda part: _scan(part, scorer, Best(count)), parts):
                best.add(found.scores, found.places)
        records = [self._file.record(int(place)) for place in best.places]
        return [Found(id_, score, metadata) for score, (id_, metadata) in zip(best.scores, records, strict=True)]

    def _scorer(self, question: str) -> Scorer:
        """Embed the question with the model's prompt for queries; without one, with its default prompt."""
        manifest = self._service.manifest
        prompt = prompt_for("query", manifest.prompts)
        options = Options(prompt_name=prompt, dimensions=self._dimensions, output_dtype=FLOAT32.name)
        query = self._service.embed([question], options).vectors[0]
        return Scorer(query, manifest.similarity, self._type.name, self._types.ranges(self._dimensions))


def _scan(batches: Iterator[Batch], scorer: Scorer, best: Best) -> Best:
    """Score the batches of one part of the file."""
    for batch in batches:
        best.add(scorer.score(batch.numbers), batch.places)
    return best


def _open(path: Path) -> VectorFile:
    if path.suffix not in FILES:
        msg = f"IN must end in .jsonl or .parquet. Given: {path}"
        raise Refused(msg)
    if not path.is_file():
        msg = f"IN must be a file that `make embed` wrote. Given: {path}, which is {'a folder' if path.is_dir() else 'not there'}"
        raise Refused(msg)
    return FILES[path.suffix](path)


def _check_model(path: Path, properties: Mapping[str, str], manifest: Manifest) -> None:
    """Refuse vectors of another model, or of the same one in another precision, if the file says whose they are."""
    theirs = properties.get(FINGERPRINT, manifest.fingerprint)
    if theirs == manifest.fingerprint:
        return
    made_by = f"{properties.get(MODEL)} ({properties.get(PRECISION)}, fingerprint {theirs[:12]}…)"
    served = f"{manifest.model_id} ({manifest.precision}, fingerprint {manifest.fingerprint[:12]}…)"
    msg = f"{path} has vectors of {made_by}, but MODEL_DIR has {served}. Set MODEL_DIR to the file's model, or embed again"
    raise Refused(msg)


def _type_of(path: Path, file: VectorFile, manifest: Manifest, types: ModelTypes) -> VectorType:
    """Return the type of a file's vectors: the one that the file names, or the first that its numbers can be.

    Raises:
        Refused: the model has no such vectors.
    """
    named = file.properties.get(TYPE)
    fitting = [kind for kind in TYPES.values() if named in {None, kind.name} and kind.number.__name__ == file.numbers]
    reasons = {kind.name: _mismatch(kind, file.size * kind.dimensions, manifest, types) for kind in fitting}
    for name, reason in reasons.items():
        if not reason:
            return TYPES[name]
    reason = next(iter(reasons.values()), f"the file says that they are {named}")
    msg = f"{path} has vectors of {file.size} {file.numbers} numbers, which {manifest.model_id} does not make: {reason}"
    raise Refused(msg)


def _mismatch(kind: VectorType, dimensions: int, manifest: Manifest, types: ModelTypes) -> str | None:
    """Return why the model has no vectors of a type with so many dimensions; None if it has."""
    if dimensions > manifest.dimension:
        return f"its vectors have {manifest.dimension} dimensions"
    return types.refusal(kind.name, dimensions, normalize=True) if dimensions else None
