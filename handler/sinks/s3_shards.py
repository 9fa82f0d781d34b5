"""Shards in S3: one object for all results of a write, there whole or not at all."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from handler.aws import Client, error_status
from handler.records import Failure, Result
from handler.sinks.channel import Message, Refusal, failure_of, unanswered
from handler.sinks.shards import FORMATS, name_of

NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Receipt:
    """What tells a shard, small enough for the state of a workflow: `sha256` is of its bytes, in hexadecimal."""

    bucket: str
    key: str
    count: int
    sha256: str


class Objects:
    """Objects below a prefix, written whole."""

    most_bytes: int | None = None

    def __init__(self, client: Client, bucket: str, prefix: str) -> None:
        """Write to `bucket`, under `prefix` with a slash behind it."""
        self._client = client
        self.bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.name = f"The bucket {bucket}"

    def put(self, name: str, body: bytes, count: int) -> Receipt:
        """Write one object; S3 holds the bytes against their digest, and keeps digest and count with them.

        Raises:
            Exception: it was not surely written.
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
        # Where an answer is cut, botocore can give a response without any of its fields: that is no success.
        _ = response["ETag"]
        return receipt

    def receipt(self, name: str) -> Receipt | None:
        """The receipt of an object that is there already; None if it is not.

        Raises:
            Exception: S3 does not say.
        """
        key = self._prefix + name
        try:
            kept = self._client.head_object(Bucket=self.bucket, Key=key)["Metadata"]
        except Exception as error:
            if error_status(error) == NOT_FOUND:
                return None
            raise
        return Receipt(self.bucket, key, int(kept["count"]), kept["sha256"]) if {"count", "sha256"} <= kept.keys() else None

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Write `messages` as the lines of one object named by its content; all of them are refused or none."""
        if not messages:
            return {}
        body = b"".join(message.body + b"\n" for message in messages)
        try:
            self.put(f"{hashlib.sha256(body).hexdigest()[:32]}.jsonl", body, len(messages))
        except Exception as error:  # noqa: BLE001 - whatever befalls the call, the object was not surely written
            return dict.fromkeys(range(len(messages)), unanswered(self.name, error))
        return {}


class S3Shards:
    """Writes all results of a call into one shard: named by its records, or by its caller, so that a repeat writes the same key."""

    def __init__(self, client: Client, bucket: str, prefix: str, kind: str) -> None:
        """Write shards of a `kind` of FORMATS to `bucket`, under `prefix`."""
        self._objects = Objects(client, bucket, prefix)
        self._kind = kind

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write one shard named by its records; where that fails, every result does."""
        written = self.write_shard(results, name_of(results)) if results else []
        return [] if isinstance(written, Receipt) else written

    def write_shard(self, results: Sequence[Result], name: str) -> Receipt | list[Failure]:
        """Write one shard under a name of the caller's, to which the format's ending is added. It may have no results."""
        try:
            return self._objects.put(f"{name}.{self._kind}", FORMATS[self._kind](results), len(results))
        except Exception as error:  # noqa: BLE001 - whatever befalls the call, the shard was not surely written
            refusal = unanswered(self._objects.name, error)
            return [failure_of(result.record, refusal) for result in results]

    def receipt(self, name: str) -> Receipt | None:
        """The receipt of a shard that is there already, under the name that `write_shard` was given; None if it is not.

        Raises:
            Exception: S3 does not say.
        """
        return self._objects.receipt(f"{name}.{self._kind}")
