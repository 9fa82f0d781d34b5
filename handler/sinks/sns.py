"""An SNS topic: one message a record."""

from collections.abc import Sequence
from typing import Any

from handler.aws import Client
from handler.sinks.channel import Message, Refusal, send_in_batches, unanswered
from handler.sinks.sqs import digest

MESSAGES_PER_CALL, BYTES_PER_CALL = 10, 256 * 1024
"""The most that PublishBatch takes; one message may have as many bytes as a call."""


class Topic:
    """One topic. In a FIFO topic each record is a group of its own."""

    most_bytes: int | None = BYTES_PER_CALL

    def __init__(self, client: Client, arn: str) -> None:
        """Publish to the topic `arn`."""
        self._client = client
        self._arn = arn
        self._name = f"The topic {arn.rsplit(':', 1)[-1]}"

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Publish `messages`; returns what was not taken, by its place among them."""

        def send(places: Sequence[int]) -> dict[int, Refusal]:
            entries = [self._entry(place, messages[place]) for place in places]
            try:
                response = self._client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
                sent = {int(entry["Id"]) for entry in response.get("Successful", [])}
                codes = {int(entry["Id"]): entry.get("Code", "Unknown") for entry in response.get("Failed", [])}
            except Exception as error:  # noqa: BLE001 - whatever befalls the call, its messages were not surely sent
                return dict.fromkeys(places, unanswered(self._name, error))
            return {
                place: Refusal(f"{self._name} did not take it: {codes.get(place, 'no answer')}", transient=True)
                for place in places
                if place not in sent
            }

        return send_in_batches([len(message.body) for message in messages], MESSAGES_PER_CALL, BYTES_PER_CALL, send)

    def _entry(self, place: int, message: Message) -> dict[str, Any]:
        entry = {"Id": str(place), "Message": message.body.decode()}
        if self._arn.endswith(".fifo"):
            entry["MessageGroupId"] = digest(message.id.encode("utf-8", "surrogatepass"))
            entry["MessageDeduplicationId"] = digest(message.body)
        return entry
