"""An SQS queue: one message a record."""

import hashlib
from collections.abc import Sequence
from typing import Any

from handler.aws import Client
from handler.sinks.channel import Message, Refusal, send_in_batches, sendable, unanswered

MESSAGES_PER_CALL, BYTES_PER_CALL = 10, 1024 * 1024
"""The most that SendMessageBatch takes; one message may have as many bytes as a call."""
FAULTS_OF_THE_MESSAGE = {"InvalidMessageContents", "InvalidParameterValue", "MessageTooLong"}


class Queue:
    """One queue. In a FIFO queue each record is a group of its own, so that none waits for another."""

    most_bytes: int | None = BYTES_PER_CALL

    def __init__(self, client: Client, url: str) -> None:
        """Send to the queue at `url`."""
        self._client = client
        self._url = url
        self._name = f"The queue {url.rsplit('/', 1)[-1]}"
        self._fifo = url.endswith(".fifo")

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Send `messages`; returns what was not taken, by its place among them."""
        bodies = [sendable(message.body) for message in messages]

        def send(places: Sequence[int]) -> dict[int, Refusal]:
            entries = [self._entry(place, messages[place].id, bodies[place]) for place in places]
            try:
                response = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
                # Where a body is cut, botocore can give a response without any of its fields: only what is listed was sent.
                sent = {int(entry["Id"]) for entry in response.get("Successful", [])}
                failed = {int(entry["Id"]): self._refusal(entry) for entry in response.get("Failed", [])}
            except Exception as error:  # noqa: BLE001 - whatever befalls the call, its messages were not surely sent
                return dict.fromkeys(places, unanswered(self._name, error))
            lost = Refusal(f"{self._name} gave no answer for it", transient=True)
            return {place: failed.get(place, lost) for place in places if place not in sent}

        return send_in_batches(list(map(len, bodies)), MESSAGES_PER_CALL, BYTES_PER_CALL, send)

    def _entry(self, place: int, record: str, body: bytes) -> dict[str, Any]:
        entry = {"Id": str(place), "MessageBody": body.decode()}
        if self._fifo:
            entry["MessageGroupId"] = digest(record.encode("utf-8", "surrogatepass"))
            entry["MessageDeduplicationId"] = digest(body)
        return entry

    def _refusal(self, entry: dict[str, Any]) -> Refusal:
        code = entry.get("Code", "Unknown").rsplit(".", 1)[-1]
        return Refusal(f"{self._name} did not take it: {code}", transient=code not in FAULTS_OF_THE_MESSAGE)


def digest(content: bytes) -> str:
    """A name for `content`, of the letters and the length that FIFO queues and topics take."""
    return hashlib.sha256(content).hexdigest()
