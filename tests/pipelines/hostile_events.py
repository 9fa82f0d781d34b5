"""Events of every source with hostile records: any JSON that a stranger may send."""

import base64
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.handler.sources.aggregation import aggregated

GOOD = {"id": "good", "inputs": "It rained all morning."}
"""The record that must be written whatever is next to it."""

SCALARS = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.integers(2**64, 2**90)
    | st.just(10**4000)
    | st.text(st.characters(), max_size=20)
)
NAMES = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["S", "N", "B", "M", "L", "NULL", "Records", "s3", "Message", "detail"]
)
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
OPTIONS = ("normalize", "truncate", "use_cache", "prompt_name", "truncation_direction", "dimensions")
RECORD = st.fixed_dictionaries(
    {"inputs": st.text(st.characters(), min_size=1) | ANY_JSON},
    optional={"id": ANY_JSON, "metadata": ANY_JSON, **dict.fromkeys(OPTIONS, ANY_JSON)},
)
ENVELOPE = st.sampled_from(
    [
        {"Records": [{"eventSource": "aws:s3"}]},
        {
            "Records": [
                {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": 1}, "object": {"key": {}}}}
            ]
        },
        {"Type": "Notification", "Message": '{"inputs": NaN}'},
        {"continuation": {"bucket": [], "key": None, "version": 1, "etag": {}, "offset": 10**30}},
        {"detail-type": [], "source": "aws.s3", "detail": 1, "account": 1, "region": 1, "time": 1},
        {"detail-type": {}, "source": {}, "detail": [], "account": 1, "region": 1, "time": 1, "id": {}},
        {"inputs": "x", "eventSource": "aws:sqs"},
        {"inputs": "x", "eventSource": "aws:kinesis", "data": 3},
        {"inputs": "x", "eventSource": "aws:dynamodb"},
        {"inputs": "x", "a": float("nan"), "b": 2**70},
        {"inputs": "x", "id": float("inf")},
        {"inputs": "x", "id": "\ud800"},
    ]
)
DEEP = st.integers(50, 3000).map(lambda levels: {"inputs": "x", "deep": nested(levels)})
"""Records of any depth. Other examples have 9,994 levels, the most that Python's JSON reads."""
HOSTILE = ANY_JSON | RECORD | ENVELOPE | DEEP


def nested(levels: int) -> object:
    """Return lists that are nested so many levels deep."""
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def as_text(value: object) -> str:
    """Return a value as the body of a message."""
    return value if isinstance(value, str) else json.dumps(value)


def event(name: str) -> dict[str, Any]:
    """Return an example event."""
    found: dict[str, Any] = json.loads((ROOT / f"events/{name}.json").read_text())
    return found


type Make = Callable[[Sequence[object], Mapping[str, object]], Any]


@dataclass(frozen=True)
class Hostile:
    """Events of a source. `make` puts contents into its records; `names` returns the source's names for them."""

    make: Make
    names: Callable[[Any], list[object]]


def _records(name: str, put: Callable[[dict[str, Any], int, object], None]) -> Make:
    """Make events of copies of the example's first record. `odd` replaces fields of the record with the first content."""
    first = event(name)["Records"][0]

    def make(contents: Sequence[object], odd: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        records = []
        for place, content in enumerate(contents):
            record = copy.deepcopy(first)
            put(record, place, content)
            records.append(record)
        records[0] |= {field: value for field, value in odd.items() if field in records[0]}
        return {"Records": records}

    return make


def _sqs(record: dict[str, Any], place: int, content: object) -> None:
    record |= {"messageId": f"m{place}", "body": as_text(content)}


def _fifo(record: dict[str, Any], place: int, content: object) -> None:
    _sqs(record, place, content)
    record["attributes"]["MessageGroupId"] = f"group {place}"


def _sns(record: dict[str, Any], place: int, content: object) -> None:
    record["Sns"] |= {"MessageId": f"m{place}", "Message": as_text(content)}


def _kinesis(record: dict[str, Any], place: int, content: object) -> None:
    data = as_text(content).encode("utf-8", "surrogatepass")
    record["kinesis"] |= {"sequenceNumber": str(100 + place), "data": base64.b64encode(data).decode()}


def _aggregated(record: dict[str, Any], place: int, content: object) -> None:
    data = as_text(content).encode("utf-8", "surrogatepass")
    record["kinesis"] |= {"sequenceNumber": str(100 + place), "data": base64.b64encode(aggregated([data])).decode()}


def _dynamodb(record: dict[str, Any], place: int, content: object) -> None:
    image: dict[str, Any] = {"inputs": content} if content is not GOOD else {"inputs": {"S": GOOD["inputs"]}}
    if isinstance(content, dict) and content is not GOOD:
        image |= content
    key = {"pk": {"S": "good" if content is GOOD else f"item {place}"}}
    record["dynamodb"] |= {"SequenceNumber": str(100 + place), "Keys": key, "NewImage": image}


def _kafka(contents: Sequence[object], odd: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
    """Make an event of Kafka: all contents in one partition."""
    found = event("kafka")
    first = found["records"]["documents-0"][0]
    values = [base64.b64encode(as_text(content).encode("utf-8", "surrogatepass")).decode() for content in contents]
    records = [first | {"offset": 100 + place, "value": value} for place, value in enumerate(values)]
    records[0] |= {field: value for field, value in odd.items() if field in first}
    return found | {"records": {"documents-0": records}}


def _offsets(found: Any) -> list[object]:  # noqa: ANN401 - JSON
    return [100 + place for place in range(len(found["records"]["documents-0"]))]


def _numbers(found: Any) -> list[object]:  # noqa: ANN401 - JSON
    return [str(100 + place) for place in range(len(found["Records"]))]


def _messages(found: Any) -> list[object]:  # noqa: ANN401 - JSON
    return [f"m{place}" for place in range(len(found["Records"]))]


ACKNOWLEDGED: dict[str, Hostile] = {
    "SQS": Hostile(_records("sqs", _sqs), _messages),
    "SQS FIFO": Hostile(_records("sqs_fifo", _fifo), _messages),
    "SNS": Hostile(_records("sns", _sns), _messages),
    "Kinesis": Hostile(_records("kinesis", _kinesis), _numbers),
    "Kinesis, aggregated": Hostile(_records("kinesis", _aggregated), _numbers),
    "DynamoDB": Hostile(_records("dynamodb", _dynamodb), _numbers),
    "Kafka": Hostile(_kafka, _offsets),
}
"""Sources that retry what failed, and whose events hold several records."""
ANSWERED: dict[str, Callable[[Sequence[object]], Any]] = {
    "EventBridge Pipes": list,
    "records": lambda contents: {"records": list(contents)},
    "Step Functions": lambda contents: {"Items": list(contents)},
}
"""Sources whose reply has an outcome for each record."""
