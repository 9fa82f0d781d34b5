"""Small vectors in a pipeline: the deployment's type, a record's own, and the sinks that take them."""

import io
import json
from collections.abc import Callable
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest

from events.aws import LocalAWS
from handler.errors import Backend
from handler.functions.setup import Setup
from handler.service import Options, Service
from tests.conftest import INT8, serve
from tests.handler.known_events import EVENTS
from tests.pipelines.deployment import (
    EXPECTED,
    Read,
    eventbridge,
    function,
    s3_jsonl,
    s3_parquet,
    s3_vectors,
    sqs,
    table_with_stream,
)
from tests.secrecy import say


@pytest.fixture(scope="module")
def small() -> Service:
    """A service whose deployment asks for int8."""
    return serve(INT8, OUTPUT_DTYPE="int8")


@pytest.mark.parametrize("sink", [s3_jsonl, s3_parquet, sqs, eventbridge])
def test_a_sink_gets_vectors_of_the_deployment_s_type(
    aws: LocalAWS, small: Service, sink: Callable[[LocalAWS, str], tuple[str, Read]]
) -> None:
    """They are the integers that HTTP returns."""
    bucket = f"out-{uuid4().hex}"
    if sink in {s3_jsonl, s3_parquet}:
        aws.client("s3").create_bucket(Bucket=bucket)
    uri, read = sink(aws, bucket)
    assert function(small, SINK=uri, OUTPUT_DTYPE="int8")(EVENTS["sqs"], None) == {"batchItemFailures": []}
    found, expected = read(), EXPECTED["sqs"]
    say(*expected.values())
    assert found.keys() == expected.keys()
    for record, text in expected.items():
        assert found[record] == small.embed([text], Options(output_dtype="int8")).vectors[0].tolist()


def events_of(*records: dict[str, str]) -> dict[str, object]:
    """Make an event of a queue with these records."""
    first = EVENTS["sqs"]["Records"][0]
    return {"Records": [first | {"messageId": record["id"], "body": json.dumps(record)} for record in records]}


A, B = {"id": "a", "inputs": "A sunny day.", "output_dtype": "ubinary"}, {"id": "b", "inputs": "A day of rain."}


@pytest.mark.parametrize(("query", "element"), [("jsonl", None), ("parquet", "float")])
def test_a_record_may_name_its_own_type(aws: LocalAWS, service: Service, query: str, element: str | None) -> None:
    """If records name types of different numbers, a Parquet file has float32, which can hold each of them."""
    bucket = f"out-{uuid4().hex}"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    assert function(service, SINK=f"s3://{bucket}/out?format={query}")(events_of(A, B), None) == {"batchItemFailures": []}
    (stored,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    body = s3.get_object(Bucket=bucket, Key=stored["Key"])["Body"].read()
    if element:
        table = pq.read_table(io.BytesIO(body))
        assert str(table.schema.field("embedding").type) == f"list<element: {element} not null>"
        rows = table.to_pylist()
    else:
        rows = [json.loads(line) for line in body.splitlines()]
    packed, floats = (row["embedding"] for row in rows)
    expected = service.embed([A["inputs"], B["inputs"]], Options()).vectors
    assert packed == np.packbits(expected[0] > 0).tolist()
    assert np.array(floats, np.float32).tobytes() == expected[1].tobytes()


def test_an_index_of_s3_vectors_refuses_small_vectors_at_the_start(aws: LocalAWS) -> None:
    """The error names the setting, before a record is read."""
    uri, _ = s3_vectors(aws, f"out-{uuid4().hex}")
    with pytest.raises(Backend) as refused:
        Setup.of({"SINK": uri, "OUTPUT_DTYPE": "int8"})
    assert str(refused.value) == (
        f"SINK {uri} takes float32 vectors only, and OUTPUT_DTYPE is int8: remove OUTPUT_DTYPE, or name another sink"
    )
    batch = {"BatchInput": {"sink": uri, "text_field": "passage"}, "Items": EVENTS["distributed_map"]["Items"]}
    with pytest.raises(Backend, match=r"^BatchInput\.sink s3vectors://.* takes float32 vectors only, and OUTPUT_DTYPE is int8"):
        function(serve(INT8, OUTPUT_DTYPE="int8"), OUTPUT_DTYPE="int8")(batch, None)


def test_an_index_of_s3_vectors_refuses_the_record_that_names_another_type(aws: LocalAWS, service: Service) -> None:
    """The other records are written."""
    uri, read = s3_vectors(aws, f"out-{uuid4().hex}")
    assert function(service, SINK=uri)(events_of(A, B), None) == {"batchItemFailures": [{"itemIdentifier": "a"}]}
    assert read().keys() == {"b"}


def test_an_unknown_type_is_refused_at_the_start() -> None:
    """The error names all types."""
    with pytest.raises(Backend, match=r"^OUTPUT_DTYPE must be float32 or int8 or uint8 or binary or ubinary; it is 'int4'$"):
        Setup.of({"OUTPUT_DTYPE": "int4"})


@pytest.mark.parametrize("kind", ["list", "binary"])
def test_a_small_vector_is_written_back_as_its_own_bytes(aws: LocalAWS, service: Service, kind: str) -> None:
    """The attribute is a list of numbers, or has a byte for each number."""
    dynamodb = aws.client("dynamodb")
    name, stream = table_with_stream(aws)
    item = {"pk": {"S": "1"}, "text": {"S": B["inputs"]}}
    dynamodb.put_item(TableName=name, Item=item)
    change = {"Keys": {"pk": {"S": "1"}}, "NewImage": item, "SequenceNumber": "1", "StreamViewType": "NEW_AND_OLD_IMAGES"}
    event = {"eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "eventSourceARN": stream, "dynamodb": change}
    small = serve(INT8, OUTPUT_DTYPE="binary")
    answer = function(small, SINK=f"dynamodb://embedding?format={kind}", TEXT_FIELD="text", OUTPUT_DTYPE="binary")
    assert answer({"Records": [event]}, None) == {"batchItemFailures": []}
    kept = dynamodb.get_item(TableName=name, Key={"pk": {"S": "1"}}, ConsistentRead=True)["Item"]["embedding"]
    expected = service.embed([B["inputs"]], Options(output_dtype="binary")).vectors[0]
    assert kept == ({"B": expected.tobytes()} if kind == "binary" else {"L": [{"N": str(number)} for number in expected]})
