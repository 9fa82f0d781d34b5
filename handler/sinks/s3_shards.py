"""Shards in S3: one object for all results of a write. It is written whole or not at all.

IAM: s3:PutObject and s3:GetObject on the objects; s3:ListBucket on the bucket, without which S3 responds with 403 instead of 404
for a shard that does not exist. A failure destination needs only s3:PutObject.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from handler.aws import Client, error_status
from handler.records import Failure, Result
from handler.sinks.channel import Message
from handler.sinks.refusals import Refusal, refuse_call, to_failure
from handler.sinks.shard_formats import FORMATS, name_shard
from handler.vector_types import TYPES

NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a shard was written, small enough for the state of a workflow. `sha256` is of its bytes, in hexadecimal."""

    bucket: str
    key: str
    count: int
    sha256: str


class ObjectWriter:
    """Writes whole objects under one prefix. As a channel, it writes the messages of a call as the lines of one object."""

    most_bytes: int | None = None

    def __init__(self, client: Client, bucket: str, prefix: str) -> None:
        """Write to `bucket`, under `prefix`, with one slash between prefix and name."""
        self._client = client
        self.bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.name = f"The bucket {bucket}"

    def put(self, name: str, body: bytes, count: int) -> Receipt:
        """Write one object. S3 checks the bytes against their digest, and stores digest and count as metadata.

        Raises:
            Exception: the object may not have been written.
        """
        digest = hashlib.sha256(body)
        receipt = Receipt(self.bucket, self._prefix + name, count, digest.hexdigest())
        response = self._client.put_object(
            Bucket=receipt.bucket,
            Key=receipt.key,
            Body=body,
            ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
            Metadata={"count": str(count), "sha256": receipt.sha256},
        )
        # If a connection breaks, botocore can return a response without any fields. That is no success.
        _ = response["ETag"]
        return receipt

    def find_receipt(self, name: str) -> Receipt | None:
        """Return the receipt of an object that was written before; None if there is no such object.

        Raises:
            Exception: S3 did not say whether there is one.
        """
        key = self._prefix + name
        try:
            stored = self._client.head_object(Bucket=self.bucket, Key=key)["Metadata"]
        except Exception as error:
            if error_status(error) == NOT_FOUND:
                return None
            raise
        return Receipt(self.bucket, key, int(stored["count"]), stored["sha256"]) if {"count", "sha256"} <= stored.keys() else None

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Write `messages` as the lines of one object that is named by its content. If that fails, all of them are refused."""
        if not messages:
            return {}
        body = b"".join(message.body + b"\n" for message in messages)
        try:
            self.put(f"{hashlib.sha256(body).hexdigest()[:32]}.jsonl", body, len(messages))
        except Exception as error:  # noqa: BLE001 - after any error at all, the object may not have been written
            return dict.fromkeys(range(len(messages)), refuse_call(self.name, error))
        return {}


class S3Shards:
    """Writes all results of a call into one shard. Its records or its caller decide its name, so a repeat writes the same key."""

    def __init__(self, client: Client, bucket: str, prefix: str, file_format: str, output_dtype: str) -> None:
        """Write shards in one of FORMATS to `bucket`, under `prefix`. A shard without results is one of `output_dtype`."""
        self._objects = ObjectWriter(client, bucket, prefix)
        self._format = file_format
        self._numbers = TYPES[output_dtype].number.__name__

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write one shard that is named by its records. If that fails, every result fails."""
        written = self.write_shard(results, name_shard(results)) if results else []
        return [] if isinstance(written, Receipt) else written

    def write_shard(self, results: Sequence[Result], name: str) -> Receipt | list[Failure]:
        """Write one shard under the caller's name, followed by the format's ending. It may have no results."""
        try:
            return self._objects.put(f"{name}.{self._format}", FORMATS[self._format](results, self._numbers), len(results))
        except Exception as error:  # noqa: BLE001 - after any error at all, the shard may not have been written
            refusal = refuse_call(self._objects.name, error)
            return [to_failure(result.record, refusal) for result in results]

    def find_receipt(self, name: str) -> Receipt | None:
        """Return the receipt of a shard that `write_shard` wrote under this name before; None if there is none.

        Raises:
            Exception: S3 did not say whether there is one.
        """
        return self._objects.find_receipt(f"{name}.{self._format}")
