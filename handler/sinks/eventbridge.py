"""An EventBridge bus: one event for each record.

IAM: events:PutEvents on the bus.
"""

from collections.abc import Sequence
from typing import Any

from handler.aws import Client
from handler.sinks.batches import send_in_batches
from handler.sinks.channel import Message
from handler.sinks.refusals import Refusal, refuse_call

EVENTS_PER_CALL, BYTES_PER_CALL = 10, 1_000_000
"""The limits of PutEvents: less than 1 MB for all events of a call. One event may have as many bytes as a call."""
SOURCE = "embeddings-on-lambda"
FAULTS_OF_THE_EVENT = {"MalformedDetail", "InvalidArgument"}
"""The error codes of events that EventBridge will never accept."""


class Bus:
    """One bus. Rules match the source embeddings-on-lambda and the detail type."""

    most_bytes: int | None

    def __init__(self, client: Client, arn: str, detail_type: str) -> None:
        """Put events of one `detail_type` on the bus `arn`."""
        self._client = client
        self._arn = arn
        self._detail_type = detail_type
        self._name = f"The event bus {arn.rsplit('/', 1)[-1]}"
        # EventBridge counts the source, the detail type and the detail of an event, in UTF-8.
        self._overhead = len(SOURCE) + len(detail_type)
        self.most_bytes = BYTES_PER_CALL - self._overhead

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Put an event for each message; return the refusals, by the position of the message."""

        def send_batch(positions: Sequence[int]) -> dict[int, Refusal]:
            try:
                response = self._client.put_events(Entries=[self._entry(messages[position]) for position in positions])
                entries = dict(zip(positions, response["Entries"], strict=True))
            except Exception as error:  # noqa: BLE001 - after any error at all, the events may not have been put
                return dict.fromkeys(positions, refuse_call(self._name, error))
            return {position: self._refusal(entry) for position, entry in entries.items() if not entry.get("EventId")}

        sizes = [len(message.body) + self._overhead for message in messages]
        return send_in_batches(sizes, EVENTS_PER_CALL, BYTES_PER_CALL, send_batch)

    def _entry(self, message: Message) -> dict[str, str]:
        return {"Source": SOURCE, "DetailType": self._detail_type, "Detail": message.body.decode(), "EventBusName": self._arn}

    def _refusal(self, entry: dict[str, Any]) -> Refusal:
        code = entry.get("ErrorCode", "Unknown")
        return Refusal(f"{self._name} did not accept it: {code}", transient=code not in FAULTS_OF_THE_EVENT)
