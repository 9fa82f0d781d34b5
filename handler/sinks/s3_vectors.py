"""An index of S3 Vectors: a vector a record, under the record's id, so that a repeat overwrites; gone where the record is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

import numpy as np
import orjson

from handler import telemetry
from handler.aws import Client, error_name
from handler.encoding import to_json
from handler.records import Failure, Gone, Result
from handler.sinks.channel import Refusal, batches, failure_of, unanswered

# Amazon S3 user guide, "S3 Vectors: Limitations and restrictions".
VECTORS_PER_CALL, BYTES_PER_CALL = 500, 20 * 1024 * 1024
MOST_METADATA_KEYS, MOST_METADATA_BYTES, MOST_FILTERABLE_BYTES = 50, 40 * 1024, 2 * 1024
LONGEST_KEY = 1024

FAULTS_OF_A_VECTOR = {"ValidationException", "SerializationException", "ParamValidationError"}
"""By the name of S3 Vectors or botocore: something in the call is refused for good, and halving it finds what."""
BYTES_AROUND_A_VECTOR = 64
"""Its field names and brackets in a call."""
MOST_CALLS = 100
"""One refused vector is found in 2 x log2(500) calls; where more than five of a batch are refused, its rest waits for a repeat."""


@dataclass(frozen=True, slots=True)
class Index:
    """What an index takes: dimension and unfilterable metadata are None where it could not be asked."""

    dimension: int | None = None
    unfilterable: frozenset[str] | None = None
    cosine: bool = True


class S3Vectors:
    """Puts vectors into one index."""

    float32_only = True

    def __init__(self, client: Client, bucket: str, index: str) -> None:
        """Ask what the index takes, once; where that is not allowed, S3 Vectors itself refuses what it does not take."""
        self._client = client
        self._to = {"vectorBucketName": bucket, "indexName": index}
        self._name = f"The index {index}"
        self._index = self._described()

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Put `results`; of two with the same id the later stays."""
        failures = []
        vectors: dict[str, tuple[Result, dict[str, Any], int]] = {}
        for result in results:
            metadata = storable(result.record.metadata)
            if reason := self._unfit(result, metadata):
                failures.append(failure_of(result.record, Refusal(reason, transient=False)))
                continue
            # As short decimals that read back as the same float32: half of what their float64 would take.
            written = orjson.dumps(result.vector, option=orjson.OPT_SERIALIZE_NUMPY)
            vector = {"key": result.record.id, "data": {"float32": orjson.loads(written)}, "metadata": metadata}
            size = len(written) * 5 // 4 + len(to_json(metadata)) + 6 * len(result.record.id) + BYTES_AROUND_A_VECTOR
            vectors[result.record.id] = (result, vector, size)
        everything = list(vectors.values())
        for batch in batches(everything, [size for _, _, size in everything], VECTORS_PER_CALL, BYTES_PER_CALL):
            refused = self._put([vector for _, vector, _ in batch])
            failures += [failure_of(batch[place][0].record, refusal) for place, refusal in sorted(refused.items())]
        return failures

    def delete(self, gone: Sequence[Gone]) -> list[Failure]:
        """Delete the vectors of records that are gone, each under another id; what an index cannot have is not in it."""
        failures: list[Failure] = []
        there = [one for one in gone if 1 <= len(one.id) <= LONGEST_KEY]
        for batch in batched(there, VECTORS_PER_CALL, strict=False):
            try:
                response = self._client.delete_vectors(**self._to, keys=[one.id for one in batch])
                _ = response["ResponseMetadata"]["HTTPStatusCode"]  # as of a put
            except Exception as error:  # noqa: BLE001 - whatever befalls the call, its vectors were not surely deleted
                refusal = unanswered(self._name, error)
                failures += [failure_of(one, refusal) for one in batch]
        return failures

    def _put(self, vectors: Sequence[dict[str, Any]]) -> dict[int, Refusal]:
        """Put vectors, and find those that make S3 Vectors refuse a call by halving it; returns the refused ones by their place."""
        refused: dict[int, Refusal] = {}
        ranges, calls = [range(len(vectors))], 0
        while ranges:
            places = ranges.pop()
            if calls == MOST_CALLS:
                refused.update(dict.fromkeys(places, Refusal(f"{self._name} refuses too many others beside it", transient=True)))
                continue
            calls += 1
            try:
                response = self._client.put_vectors(**self._to, vectors=[vectors[place] for place in places])
                # A whole answer is empty; botocore can return without any.
                _ = response["ResponseMetadata"]["HTTPStatusCode"]
            except Exception as error:  # noqa: BLE001 - whatever befalls the call, its vectors were not surely put
                if error_name(error) not in FAULTS_OF_A_VECTOR:
                    refused.update(dict.fromkeys(places, unanswered(self._name, error)))
                elif len(places) == 1:
                    refused[places[0]] = Refusal(f"{self._name} refuses it: {error_name(error)}", transient=False)
                else:
                    middle = len(places) // 2
                    ranges += [places[middle:], places[:middle]]
        return refused

    def _unfit(self, result: Result, metadata: Mapping[str, Any]) -> str | None:
        """Why the index cannot take a result, if that can be told beforehand."""
        vector, size = result.vector, len(to_json(metadata))
        unfilterable = self._index.unfilterable
        filterable = len(to_json({name: metadata[name] for name in metadata.keys() - (unfilterable or ())}))
        reasons = (
            (vector.dtype != np.float32, f"{self._name} takes float32 vectors alone; the record has another `output_dtype`"),
            (not np.isfinite(vector).all(), "The vector has a number that is not finite"),
            (self._index.cosine and not vector.any(), f"{self._name} compares by cosine, which a vector of zeros has none of"),
            (
                self._index.dimension not in {None, vector.size},
                f"{self._name} takes vectors of {self._index.dimension} numbers; this one has {vector.size}",
            ),
            (
                not 1 <= len(result.record.id) <= LONGEST_KEY,
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
                unfilterable is not None and filterable > MOST_FILTERABLE_BYTES,
                f"A vector may have {MOST_FILTERABLE_BYTES} bytes of filterable metadata in an index; this one has {filterable}",
            ),
        )
        return next((reason for applies, reason in reasons if applies), None)

    def _described(self) -> Index:
        try:
            index = self._client.get_index(**self._to)["index"]
            configured = index.get("metadataConfiguration") or {}
            return Index(
                index["dimension"], frozenset(configured.get("nonFilterableMetadataKeys", ())), index["distanceMetric"] == "cosine"
            )
        except Exception as error:  # noqa: BLE001 - it may be written to without the right to ask
            telemetry.log("index_not_described", error=error_name(error))
            return Index()


def storable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as an index keeps it: strings, numbers, booleans, lists of them; anything else as its JSON, and nothing for null."""
    return {str(name): _storable(value) for name, value in metadata.items() if not _is_null(value)}


def _storable(value: object) -> object:
    if isinstance(value, list) and all(isinstance(one, str | int | float) and not _is_null(one) for one in value):
        return value
    return value if isinstance(value, str | int | float) else to_json(value).decode()


def _is_null(value: object) -> bool:
    """Whether JSON has nothing else for it than null."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))
