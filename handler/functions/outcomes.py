"""Results and failures as the JSON of a response, and the check that the largest possible response fits.

Law: pure functions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from handler.encoding import row_bytes, to_json
from handler.records import Document, DocumentResult, Embeddable, Failure, Outcome, Record, Result, Skipped
from handler.service import Service

MOST_FIELDS_BYTES = 600
"""Room for a record's fields other than its vector, id and metadata, or for the sentence of a failure in place of all fields."""


def outcome_bytes(service: Service, contents: Sequence[Embeddable]) -> int:
    """Return the most bytes that the outcomes of these contents can take in a response, divided by their number."""
    rows = [record for content in contents for record in (content.chunks if isinstance(content, Document) else (content,))]
    sent_bytes = sum(len(to_json([row.id, row.metadata])) for row in rows if isinstance(row, Record))
    row_of = row_bytes(service.manifest.dimension, "float") + MOST_FIELDS_BYTES
    return row_of * max(1, -(-len(rows) // max(1, len(contents)))) + sent_bytes // max(1, len(contents))


def encode_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Encode the outcomes of records as a JSON list. A record whose text was split has its results in a list `chunks`.

    Each outcome is encoded by itself, so that a value that needs the slow encoder does not slow down the others.
    """
    return b"[" + b",".join(to_json(_fields(outcome)) for outcome in outcomes) + b"]"


def _fields(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Result(record, vector, tokens, truncated):
            fields = {"id": record.id, "embedding": np.ascontiguousarray(vector), "tokens": tokens, "truncated": truncated}
            return fields | ({"metadata": record.metadata} if record.metadata else {})
        case DocumentResult(record, results):
            return {"id": record.id, "chunks": [_fields(result) for result in results]}
        case Failure():
            return {"id": outcome.id, "error": outcome.error, "error_type": outcome.error_type}
        case Skipped():
            return {"id": outcome.id, "skipped": outcome.reason}
    msg = "an object of S3 has no outcome of its own"
    raise TypeError(msg)
