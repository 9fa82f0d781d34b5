"""DynamoDB items: the vector is written into the item that the text came from, if its text is still the same.

The condition makes a repeat harmless and keeps a late vector from standing next to a newer text: if the text has changed or the
item was deleted, an event about that is under way, and nothing is to be written. The log tells these two apart.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from numpy.typing import NDArray

from handler import telemetry
from handler.aws import Client, error_name
from handler.encoding import little_endian
from handler.records import Failure, Item, Result
from handler.sinks.channel import Refusal, failure_of, unanswered

CONNECTIONS = 8
FAULTS_OF_THE_ITEM = {
    "ValidationException",  # among others an item of more than 400 KB
    "ItemCollectionSizeLimitExceededException",
    "ParamValidationError",  # botocore's own: a key that is none
    "SerializationException",  # JSON that DynamoDB does not read
}

type Attribute = dict[str, Any]


def numbers(vector: NDArray[Any]) -> Attribute:
    """A list of numbers: what other services read."""
    decimals = orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY).decode().strip("[]").split(",")
    return {"L": [{"N": decimal} for decimal in decimals]}


def binary(vector: NDArray[Any]) -> Attribute:
    """The bytes of the numbers, little-endian: of float32, a quarter of the write units."""
    return {"B": little_endian(vector).tobytes()}


ATTRIBUTES: Mapping[str, Callable[[NDArray[Any]], Attribute]] = {"list": numbers, "binary": binary}


class WriteBack:
    """Writes vectors into one attribute of the items they were made for."""

    def __init__(self, connect: Callable[..., Client], attribute: str, kind: str) -> None:
        """Write to `attribute`, in a `kind` of ATTRIBUTES. `connect` makes a client, of another `region` where one is given."""
        self._connect = connect
        client = connect()
        self._clients = {client.meta.region_name: client}
        self._attribute = attribute
        self._value = ATTRIBUTES[kind]
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="write-back")

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write each result into its item; one whose text has changed meanwhile needs nothing, and is no failure."""
        for item in filter(None, (result.record.origin.item for result in results)):
            region = region_of(item)
            if region not in self._clients:  # not made by the threads: botocore makes one client at a time
                self._clients[region] = self._connect(region=region)
        refusals = self._threads.map(self._update, results)
        return [failure_of(result.record, refusal) for result, refusal in zip(results, refusals, strict=True) if refusal]

    def _update(self, result: Result) -> Refusal | None:
        item = result.record.origin.item
        if item is None:
            return Refusal(
                "The record does not come from a DynamoDB stream, so that it has no item to be written into", transient=True
            )
        if item.text_field == self._attribute:
            error = f"The attribute {self._attribute} has the text; the vector needs another"
            return Refusal(error, transient=False)
        try:
            response = self._clients[region_of(item)].update_item(
                TableName=item.table,
                Key=item.keys,
                UpdateExpression="SET #vector = :vector",
                ConditionExpression="#text = :text",
                ExpressionAttributeNames={"#vector": self._attribute, "#text": item.text_field},
                ExpressionAttributeValues={":vector": self._value(result.vector), ":text": {"S": result.record.text}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
            # A whole answer is empty; botocore can return without any.
            _ = response["ResponseMetadata"]["HTTPStatusCode"]
        except Exception as error:  # noqa: BLE001 - whatever befalls the call, the item was not surely written
            name = error_name(error)
            if name == "ConditionalCheckFailedException":
                reason = "its text has changed" if "Item" in getattr(error, "response", {}) else "there is no such item any more"
                telemetry.log("vector_not_written_back", reason=reason)
                return None
            if name in FAULTS_OF_THE_ITEM:
                return Refusal(f"The table does not take the item with its vector: {name}", transient=False)
            return unanswered("The table", error)
        return None


def region_of(item: Item) -> str:
    """The region in its table's ARN."""
    return item.table.split(":")[3]
