"""An SNS topic as a failure destination: one message for each record.

IAM: sns:Publish on the topic.
"""

from collections.abc import Sequence
from typing import Any

from handler.aws import Client
from handler.sinks.batches import send_in_batches
from handler.sinks.channel import Message, digest
from handler.sinks.refusals import Refusal, refuse_call

MESSAGES_PER_CALL, BYTES_PER_CALL = 10, 256 * 1024
"""The limits of PublishBatch. One message may have as many bytes as a call."""


class Topic:
    """One topic. In a FIFO topic, each record is a message group of its own."""

    most_bytes: int | None = BYTES_PER_CALL

    def __init__(self, client: Client, arn: str) -> None:
        """Publish to the topic `arn`."""
        self._client = client
        self._arn = arn
        self._name = f"The topic {arn.rsplit(':', 1)[-1]}"

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Publish `messages`; return the refusals, by the position of the message."""

        def send_batch(positions: Sequence[int]) -> dict[int, Refusal]:
            entries = [self._entry(position, messages[position]) for position in positions]
            try:
                response = self._client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
                published = {int(entry["Id"]) for entry in response.get("Successful", [])}
                codes = {int(entry["Id"]): entry.get("Code", "Unknown") for entry in response.get("Failed", [])}
            except Exception as error:  # noqa: BLE001 - after any error at all, the messages may not have been sent
                return dict.fromkeys(positions, refuse_call(self._name, error))
            return {
                position: Refusal(f"{self._name} did not accept it: {codes.get(position, 'no response')}", transient=True)
                for position in positions
                if position not in published
            }

        return send_in_batches([len(message.body) for message in messages], MESSAGES_PER_CALL, BYTES_PER_CALL, send_batch)

    def _entry(self, position: int, message: Message) -> dict[str, Any]:
        entry = {"Id": str(position), "Message": message.body.decode()}
        if self._arn.endswith(".fifo"):
            entry["MessageGroupId"] = digest(message.id.encode("utf-8", "surrogatepass"))
            entry["MessageDeduplicationId"] = digest(message.body)
        return entry
