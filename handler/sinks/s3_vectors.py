"""An index of S3 Vectors: each vector is stored under its record's id. So a repeat overwrites it, and a deleted record deletes it.

IAM: s3vectors:PutVectors, s3vectors:DeleteVectors, s3vectors:GetIndex, s3vectors:GetVectors, s3vectors:ListTagsForResource and
s3vectors:TagResource on the index.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import batched
from typing import Any

import numpy as np
import orjson

from handler import telemetry
from handler.aws import Client, error_name
from handler.embedding.manifest import Manifest
from handler.encoding import to_json
from handler.errors import Backend
from handler.records import Deleted, Failure, Result
from handler.sinks.batches import split_into_batches
from handler.sinks.refusals import Refusal, refuse_call, to_failure
from handler.vector_index import METRIC, Index, find_mismatch

# Amazon S3 user guide, "S3 Vectors: Limitations and restrictions".
VECTORS_PER_CALL, BYTES_PER_CALL = 500, 20 * 1024 * 1024
KEYS_PER_READ = 100
MOST_METADATA_KEYS, MOST_METADATA_BYTES, MOST_FILTERABLE_BYTES = 50, 40 * 1024, 2 * 1024
LONGEST_KEY = 1024

FAULTS_OF_A_VECTOR = {"ValidationException", "SerializationException", "ParamValidationError"}
"""The names of errors of S3 Vectors and botocore that one vector of a call causes. Halving the call finds that vector."""
BYTES_AROUND_A_VECTOR = 64
"""The field names and brackets of one vector in a call."""
MOST_CALLS = 100
"""Finding one refused vector among 500 takes 2 x log2(500) calls. If more than five are refused, the rest is retried."""


class S3Vectors:
    """Puts vectors into one index, and deletes them."""

    float32_only = True

    def __init__(self, client: Client, bucket: str, index: str) -> None:
        """Read the properties of the index. If that is not allowed, S3 Vectors refuses unfit vectors itself."""
        self._client = client
        self._address = {"vectorBucketName": bucket, "indexName": index}
        self._name = f"The index {index}"
        self._index = self._describe(index)
        self._model: Callable[[], Manifest] | None = None
        self._is_searched = False

    @property
    def arn(self) -> str:
        """The ARN of the index; "" without the right to read its properties."""
        return self._index.arn

    def check_model(self, model: Callable[[], Manifest], searched_arn: str) -> None:
        """Check that the index can hold the vectors of a model, now and again before the first write.

        Args:
            model: returns the model's manifest, or raises Backend while there is no model.
            searched_arn: the index that this deployment searches; "" for none.

        Raises:
            Backend: the index has vectors of another model, or another dimension or distance.
        """
        self._model, self._is_searched = model, bool(searched_arn) and searched_arn == self._index.arn
        self._read_model()
        try:
            manifest = model()
        except Backend:
            return  # every event is refused until there is a model
        if fault := find_mismatch(self._index, manifest, is_searched=self._is_searched):
            raise Backend(fault)

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Put `results`. Of two results with the same id, the later one is kept."""
        if results and (fault := self._claim()):
            return [to_failure(result.record, Refusal(fault, transient=True)) for result in results]
        failures = []
        vectors: dict[str, tuple[Result, dict[str, Any], int]] = {}
        for result in results:
            metadata = to_storable(result.record.metadata)
            if reason := self._find_reason(result, metadata):
                failures.append(to_failure(result.record, Refusal(reason, transient=False)))
                continue
            # The shortest decimals that read back as the same float32 take half the bytes of their float64.
            decimals = orjson.dumps(result.vector, option=orjson.OPT_SERIALIZE_NUMPY)
            vector = {"key": result.record.id, "data": {"float32": orjson.loads(decimals)}, "metadata": metadata}
            size = len(decimals) * 5 // 4 + len(to_json(metadata)) + 6 * len(result.record.id) + BYTES_AROUND_A_VECTOR
            vectors[result.record.id] = (result, vector, size)
        everything = list(vectors.values())
        sizes = [size for _, _, size in everything]
        for batch in split_into_batches(everything, sizes, VECTORS_PER_CALL, BYTES_PER_CALL):
            refused = self._put([vector for _, vector, _ in batch])
            failures += [to_failure(batch[position][0].record, refusal) for position, refusal in sorted(refused.items())]
        return failures

    def delete(self, deleted: Sequence[Deleted]) -> list[Failure]:
        """Delete the vectors of deleted records, whose ids all differ. An id that no index accepts is skipped."""
        failures: list[Failure] = []
        deletable = [record for record in deleted if _is_key(record.id)]
        for batch in batched(deletable, VECTORS_PER_CALL, strict=False):
            try:
                response = self._client.delete_vectors(**self._address, keys=[record.id for record in batch])
                _ = response["ResponseMetadata"]["HTTPStatusCode"]  # as in _put
            except Exception as error:  # noqa: BLE001 - after any error at all, the vectors may not have been deleted
                refusal = refuse_call(self._name, error)
                failures += [to_failure(record, refusal) for record in batch]
        return failures

    def read_metadata(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the metadata of the vectors that exist. An id that no index accepts has none.

        Raises:
            Exception: S3 Vectors cannot be asked.
        """
        found: dict[str, Mapping[str, Any]] = {}
        for batch in batched(dict.fromkeys(filter(_is_key, ids)), KEYS_PER_READ, strict=False):
            response = self._client.get_vectors(**self._address, keys=list(batch), returnMetadata=True)
            found.update((vector["key"], vector.get("metadata") or {}) for vector in response["vectors"])
        return found

    def _put(self, vectors: Sequence[dict[str, Any]]) -> dict[int, Refusal]:
        """Put vectors; return the refusals by position. A refused call is halved until the faulty vector is found."""
        refused: dict[int, Refusal] = {}
        ranges, calls = [range(len(vectors))], 0
        while ranges:
            positions = ranges.pop()
            if calls == MOST_CALLS:
                too_many = Refusal(f"{self._name} refuses too many other vectors of the same batch", transient=True)
                refused.update(dict.fromkeys(positions, too_many))
                continue
            calls += 1
            try:
                response = self._client.put_vectors(**self._address, vectors=[vectors[position] for position in positions])
                # A success has an empty body. If a connection breaks, botocore can return a response without any fields.
                _ = response["ResponseMetadata"]["HTTPStatusCode"]
            except Exception as error:  # noqa: BLE001 - after any error at all, the vectors may not have been put
                if error_name(error) not in FAULTS_OF_A_VECTOR:
                    refused.update(dict.fromkeys(positions, refuse_call(self._name, error)))
                elif len(positions) == 1:
                    refused[positions[0]] = Refusal(f"{self._name} refuses it: {error_name(error)}", transient=False)
                else:
                    middle = len(positions) // 2
                    ranges += [positions[middle:], positions[:middle]]
        return refused

    def _find_reason(self, result: Result, metadata: Mapping[str, Any]) -> str | None:
        """Return the reason for which the index will refuse a result; None if no reason is known."""
        vector, size = result.vector, len(to_json(metadata))
        non_filterable = self._index.non_filterable
        filterable = len(to_json({name: metadata[name] for name in metadata.keys() - (non_filterable or ())}))
        reasons = (
            (vector.dtype != np.float32, f"{self._name} takes float32 vectors only; the record has another `output_dtype`"),
            (not np.isfinite(vector).all(), "The vector has a number that is not finite"),
            (
                self._index.metric in {None, METRIC} and not vector.any(),
                f"{self._name} compares by cosine, which is undefined for a vector of zeros",
            ),
            (
                self._index.dimension not in {None, vector.size},
                f"{self._name} takes vectors of {self._index.dimension} numbers; this one has {vector.size}",
            ),
            (
                not _is_key(result.record.id),
                f"An id must have 1 to {LONGEST_KEY} characters in an index; this one has {len(result.record.id)}",
            ),
            (
                len(metadata) > MOST_METADATA_KEYS,
                f"A vector may have {MOST_METADATA_KEYS} fields of metadata in an index; this one has {len(metadata)}",
            ),
            (
                size > MOST_METADATA_BYTES,
                f"A vector may have {MOST_METADATA_BYTES} bytes of metadata in an index; this one has {size}",
            ),
            (
                non_filterable is not None and filterable > MOST_FILTERABLE_BYTES,
                f"A vector may have {MOST_FILTERABLE_BYTES} bytes of filterable metadata in an index; this one has {filterable}",
            ),
        )
        return next((reason for applies, reason in reasons if applies), None)

    def _describe(self, name: str) -> Index:
        try:
            return Index.read(self._client, name, self._address)
        except Exception as error:  # noqa: BLE001 - vectors can be written without these properties
            telemetry.log("index_not_described", error=error_name(error))
            return Index(name)

    def _read_model(self) -> None:
        """Read which model's vectors the index has, if the index is known."""
        if not self._index.arn:
            return
        try:
            self._index = self._index.with_model(self._client)
        except Exception as error:  # noqa: BLE001 - vectors can be written without the tag
            telemetry.log("index_model_not_read", error=error_name(error))

    def _claim(self) -> str:
        """Before the first write, check the index and name its model in a tag; return the reason against writing, or ""."""
        if self._model is None:
            return ""
        manifest = self._model()
        if not self._index.model:
            self._read_model()
        if fault := find_mismatch(self._index, manifest, is_searched=self._is_searched):
            self._read_model()  # so that the next write sees it if someone empties the index and removes the tag
            return fault
        if self._index.model == "":
            try:
                self._index = self._index.tag(self._client, manifest)
            except Exception as error:  # noqa: BLE001 - vectors can be written without the tag
                telemetry.log("index_not_tagged", error=error_name(error))
        self._model = None
        return ""


def _is_key(record_id: str) -> bool:
    return 1 <= len(record_id) <= LONGEST_KEY


def to_storable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata in the types of an index: strings, numbers, booleans and lists of them.

    Any other value becomes its JSON, as a string. A null is left out.
    """
    return {str(name): _to_storable(value) for name, value in metadata.items() if not _is_null(value)}


def _to_storable(value: object) -> object:
    if isinstance(value, list) and all(isinstance(element, str | int | float) and not _is_null(element) for element in value):
        return value
    return value if isinstance(value, str | int | float) else to_json(value).decode()


def _is_null(value: object) -> bool:
    """Return whether JSON can write a value as null only: None, NaN and infinity."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))
