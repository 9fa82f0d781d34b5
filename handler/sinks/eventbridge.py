"""An EventBridge bus: one event a record."""

from collections.abc import Sequence
from typing import Any

from handler.aws import Client
from handler.sinks.channel import Message, Refusal, send_in_batches, unanswered

EVENTS_PER_CALL, BYTES_PER_CALL = 10, 1_000_000
"""The most that PutEvents takes: less than 1 MB in all, and one event may have as many bytes as a call."""
SOURCE = "embeddings-on-lambda"
FAULTS_OF_THE_EVENT = {"MalformedDetail", "InvalidArgument"}


class Bus:
    """One bus; rules match the `source` embeddings-on-lambda and the detail type given here."""

    most_bytes: int | None

    def __init__(self, client: Client, arn: str, detail_type: str) -> None:
        """Put events on the bus `arn`."""
        self._client = client
        self._arn = arn
        self._detail_type = detail_type
        self._name = f"The event bus {arn.rsplit('/', 1)[-1]}"
        # An event is counted with its source and type, its detail in UTF-8.
        self._overhead = len(SOURCE) + len(detail_type)
        self.most_bytes = BYTES_PER_CALL - self._overhead

    def send(self, messages: Sequence[Message]) -> dict[int, Refusal]:
        """Put an event for each of `messages`; returns what was not taken, by its place among them."""

        def send(places: Sequence[int]) -> dict[int, Refusal]:
            try:
                response = self._client.put_events(Entries=[self._entry(messages[place]) for place in places])
                answers = dict(zip(places, response["Entries"], strict=True))
            except Exception as error:  # noqa: BLE001 - whatever befalls the call, its events were not surely put
                return dict.fromkeys(places, unanswered(self._name, error))
            return {place: self._refusal(answer) for place, answer in answers.items() if not answer.get("EventId")}

        sizes = [len(message.body) + self._overhead for message in messages]
        return send_in_batches(sizes, EVENTS_PER_CALL, BYTES_PER_CALL, send)

    def _entry(self, message: Message) -> dict[str, str]:
        return {"Source": SOURCE, "DetailType": self._detail_type, "Detail": message.body.decode(), "EventBusName": self._arn}

    def _refusal(self, answer: dict[str, Any]) -> Refusal:
        code = answer.get("ErrorCode", "Unknown")
        return Refusal(f"{self._name} did not take it: {code}", transient=code not in FAULTS_OF_THE_EVENT)
