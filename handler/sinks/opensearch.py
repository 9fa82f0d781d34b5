"""An index of an OpenSearch Service domain: one document for each record, under the record's id, so a repeat overwrites it.

The document has the vector in `embedding`, which the index must map as knn_vector, and `id`, `tokens`, `truncated` and `metadata`.
OpenSearch Serverless is not supported: its vector collections accept no document ids, so a repeat would add a second document.

IAM: es:ESHttpPost on the paths INDEX/_bulk and INDEX/_mget of the domain.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any

from handler.aws import Post
from handler.encoding import to_json
from handler.records import Deleted, Failure, Record, Result
from handler.sinks.batches import send_in_batches
from handler.sinks.channel import to_fields
from handler.sinks.refusals import Refusal, refuse_call, to_failure

ACTIONS_PER_CALL, BYTES_PER_CALL = 500, 10 * 1024 * 1024
"""The largest request that every type of instance accepts (Amazon OpenSearch Service developer guide, "Network limits")."""
LONGEST_ID = 512
"""The most bytes of an id. Because of a longer id, OpenSearch would refuse the whole call."""
FIRST_ERROR, BAD_REQUEST, NOT_FOUND = 300, 400, 404

type Action = tuple[Record | Deleted, bytes]
"""A record, and the lines of a bulk request that write or delete its document."""


class OpenSearch:
    """Writes documents into one index, and deletes them."""

    def __init__(self, post_lines: Post, post_json: Post, index: str) -> None:
        """Write to `index`. The functions send signed requests to the domain, with bodies of one type each."""
        self._post = post_lines
        self._post_json = post_json
        self._path = f"/{index}/_bulk"
        self._read_path = f"/{index}/_mget"
        self._name = f"The index {index}"

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write `results`. Of two results with the same id, the later one is kept."""
        return self._send([(result.record, _lines("index", result.record.id, to_json(to_fields(result)))) for result in results])

    def delete(self, deleted: Sequence[Deleted]) -> list[Failure]:
        """Delete the documents of deleted records. An id that no index accepts is skipped."""
        return self._send([(record, _lines("delete", record.id)) for record in deleted if _is_id(record.id)])

    def read_metadata(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the metadata of the documents that exist, as they were written last. An id that no index accepts has none.

        Raises:
            Exception: the index cannot be asked.
        """
        found: dict[str, Mapping[str, Any]] = {}
        for batch in batched(dict.fromkeys(filter(_is_id, ids)), ACTIONS_PER_CALL, strict=False):
            wanted = {"docs": [{"_id": record_id, "_source": ["metadata"]} for record_id in batch]}
            documents = json.loads(self._post_json(self._read_path, to_json(wanted)))["docs"]
            if faults := [document["error"]["type"] for document in documents if "error" in document]:
                raise ConnectionError(faults[0])
            found.update(
                (document["_id"], document["_source"].get("metadata") or {}) for document in documents if document["found"]
            )
        return found

    def _send(self, actions: Sequence[Action]) -> list[Failure]:
        wrong_id = Refusal(f"An id must have 1 to {LONGEST_ID} bytes in an index", transient=False)
        failures = [to_failure(record, wrong_id) for record, _ in actions if not _is_id(record.id)]
        fitting = [(record, lines) for record, lines in actions if _is_id(record.id)]

        def send_batch(positions: Sequence[int]) -> dict[int, Refusal]:
            try:
                items = json.loads(self._post(self._path, b"".join(fitting[position][1] for position in positions)))["items"]
                outcomes = dict(zip(positions, [outcome for item in items for outcome in item.values()], strict=True))
                refusals = {position: self._refusal(outcome) for position, outcome in outcomes.items()}
            except Exception as error:  # noqa: BLE001 - after any error at all, the documents may not have been written
                return dict.fromkeys(positions, refuse_call(self._name, error))
            return {position: refusal for position, refusal in refusals.items() if refusal}

        refused = send_in_batches([len(lines) for _, lines in fitting], ACTIONS_PER_CALL, BYTES_PER_CALL, send_batch)
        return failures + [to_failure(fitting[position][0], refusal) for position, refusal in sorted(refused.items())]

    def _refusal(self, outcome: dict[str, Any]) -> Refusal | None:
        """Return the refusal of an action; None if it succeeded. Only 400 is permanent: the document does not fit the mapping."""
        error = outcome.get("error")
        if outcome["status"] < FIRST_ERROR or (outcome["status"] == NOT_FOUND and not error):  # not found: already deleted
            return None
        reason = error["type"] if error else outcome["status"]
        return Refusal(f"{self._name} did not accept it: {reason}", transient=outcome["status"] != BAD_REQUEST)


def _lines(action: str, record_id: str, *document: bytes) -> bytes:
    return b"".join(line + b"\n" for line in (to_json({action: {"_id": record_id}}), *document))


def _is_id(record_id: str) -> bool:
    return 1 <= len(record_id.encode("utf-8", "surrogatepass")) <= LONGEST_ID
