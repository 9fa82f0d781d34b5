"""DynamoDB: each vector is written into the item that its text came from, if the item still has that text.

Because of this condition, a repeat is harmless, and an old vector is never next to a newer text. If the text has changed or the
item was deleted, nothing is written, because another event will report that change. The log says which of the two happened.

An item gets one vector. With CHUNK_TOKENS this sink is refused: an item has at most 400 KB, and no place for the ranges of chunks.

IAM: dynamodb:UpdateItem on the table.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from numpy.typing import NDArray

from handler import telemetry
from handler.aws import Client, error_name
from handler.encoding import to_little_endian
from handler.records import Failure, Item, Result
from handler.sinks.refusals import Refusal, refuse_call, to_failure

CONNECTIONS = 8
FAULTS_OF_THE_ITEM = {
    "ValidationException",  # for example, an item of more than 400 KB
    "ItemCollectionSizeLimitExceededException",
    "ParamValidationError",  # raised by botocore: the key is not a key
    "SerializationException",  # JSON that DynamoDB cannot read
}

type Attribute = dict[str, Any]


def to_list(vector: NDArray[Any]) -> Attribute:
    """Return a list of numbers, which other services can read."""
    decimals = orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY).decode().strip("[]").split(",")
    return {"L": [{"N": decimal} for decimal in decimals]}


def to_binary(vector: NDArray[Any]) -> Attribute:
    """Return the little-endian bytes of the numbers; those of float32 take a quarter of the write units of a list."""
    return {"B": to_little_endian(vector).tobytes()}


ATTRIBUTES: Mapping[str, Callable[[NDArray[Any]], Attribute]] = {"list": to_list, "binary": to_binary}


class WriteBack:
    """Writes vectors into one attribute of the items that their texts came from."""

    one_vector_only = True

    def __init__(self, connect: Callable[..., Client], attribute: str, attribute_format: str) -> None:
        """Write to `attribute`, in one of ATTRIBUTES. `connect` makes a client, in the default region if `region` is not given."""
        self._connect = connect
        client = connect()
        self._clients = {client.meta.region_name: client}
        self._attribute = attribute
        self._to_attribute = ATTRIBUTES[attribute_format]
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="write-back")

    def write(self, results: Sequence[Result]) -> list[Failure]:
        """Write each result into its item. It is not a failure if the item's text has changed meanwhile."""
        for item in filter(None, (result.record.origin.item for result in results)):
            region = find_region(item)
            if region not in self._clients:  # made here and not by the threads: botocore makes one client at a time
                self._clients[region] = self._connect(region=region)
        refusals = self._threads.map(self._update, results)
        return [to_failure(result.record, refusal) for result, refusal in zip(results, refusals, strict=True) if refusal]

    def _update(self, result: Result) -> Refusal | None:
        item = result.record.origin.item
        if item is None:
            error = "The record does not come from a DynamoDB stream, so there is no item to write its vector into"
            return Refusal(error, transient=True)
        if item.text_field == self._attribute:
            error = f"The attribute {self._attribute} holds the text; the vector needs another attribute"
            return Refusal(error, transient=False)
        try:
            response = self._clients[find_region(item)].update_item(
                TableName=item.table,
                Key=item.keys,
                UpdateExpression="SET #vector = :vector",
                ConditionExpression="#text = :text",
                ExpressionAttributeNames={"#vector": self._attribute, "#text": item.text_field},
                ExpressionAttributeValues={":vector": self._to_attribute(result.vector), ":text": {"S": result.record.text}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
            # A success has an empty body. If a connection breaks, botocore can return a response without any fields.
            _ = response["ResponseMetadata"]["HTTPStatusCode"]
        except Exception as error:  # noqa: BLE001 - after any error at all, the item may not have been written
            name = error_name(error)
            if name == "ConditionalCheckFailedException":
                reason = "text_changed" if "Item" in getattr(error, "response", {}) else "item_deleted"
                telemetry.log("vector_not_written_back", reason=reason)
                return None
            if name in FAULTS_OF_THE_ITEM:
                return Refusal(f"The table does not accept the item with its vector: {name}", transient=False)
            return refuse_call("The table", error)
        return None


def find_region(item: Item) -> str:
    """Return the region in the ARN of the item's table."""
    return item.table.split(":")[3]
