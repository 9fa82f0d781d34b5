"""An SQS queue: one message for each record.

IAM: sqs:SendMessage on the queue.
"""

from collections.abc import Sequence
from typing import Any

from handler.aws import Client
from handler.sinks.batches import send_in_batches
from handler.sinks.channel import Message, digest, escape
from handler.sinks.refusals import Refusal, refuse_call

MESSAGES_PER_CALL, BYTES_PER_CALL = 10, 1024 * 1024
"""The limits of SendMessageBatch. One message may have as many bytes as a call."""
FAULTS_OF_THE_MESSAGE = {"InvalidMessageContents", "InvalidParameterValue", "MessageTooLong"}
"""The error codes of messages that SQS will never accept."""


class Queue:
    """One queue. In a FIFO queue, each record is a message group of its own, so that no record waits for another."""

    most_bytes: int | None = BYTES_PER_CALL

    def __init__(self, client: Client, url: str) -> None:
        """Send to the queue at `url`."""
        self._client = client
        self._url = url
        self._name = f"The queue {url.rsplit('/', 1)[-1]}"
        self._is_fifo = url.endswith(".fifo")

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Send `messages`; return the refusals, by the position of the message."""
        bodies = [escape(message.body) for message in messages]

        def send_batch(positions: Sequence[int]) -> dict[int, Refusal]:
            entries = [self._entry(position, messages[position].id, bodies[position]) for position in positions]
            try:
                response = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
                # If a connection breaks, botocore can return a response without any fields. Only listed messages were sent.
                sent = {int(entry["Id"]) for entry in response.get("Successful", [])}
                failed = {int(entry["Id"]): self._refusal(entry) for entry in response.get("Failed", [])}
            except Exception as error:  # noqa: BLE001 - after any error at all, the messages may not have been sent
                return dict.fromkeys(positions, refuse_call(self._name, error))
            unlisted = Refusal(f"{self._name} did not say that it accepted it", transient=True)
            return {position: failed.get(position, unlisted) for position in positions if position not in sent}

        return send_in_batches(list(map(len, bodies)), MESSAGES_PER_CALL, BYTES_PER_CALL, send_batch)

    def _entry(self, position: int, record_id: str, body: bytes) -> dict[str, Any]:
        entry = {"Id": str(position), "MessageBody": body.decode()}
        if self._is_fifo:
            entry["MessageGroupId"] = digest(record_id.encode("utf-8", "surrogatepass"))
            entry["MessageDeduplicationId"] = digest(body)
        return entry

    def _refusal(self, entry: dict[str, Any]) -> Refusal:
        code = entry.get("Code", "Unknown").rsplit(".", 1)[-1]
        return Refusal(f"{self._name} did not accept it: {code}", transient=code not in FAULTS_OF_THE_MESSAGE)
