"""Shards in S3 are written whole or not at all, and a repeat writes the same key."""

import hashlib
import io
import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from events.aws import LocalAWS
from handler.records import NO_ORIGIN, Origin
from handler.sinks import sink_from
from handler.sinks.s3_shards import Receipt, S3Shards
from handler.vector_types import TYPES
from tests.handler.sinks.results import result, results

BUCKET = "vectors"
HANDLE = Origin("handle")


@pytest.fixture
def s3(aws: LocalAWS) -> Any:  # noqa: ANN401 - botocore's
    """A client of moto's S3, with an empty bucket."""
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    for kept in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=kept["Key"])
    return client


def keys(s3: Any) -> list[str]:  # noqa: ANN401 - botocore's
    """List the keys in the bucket."""
    return [kept["Key"] for kept in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def shards(uri: str = f"s3://{BUCKET}/out?format=jsonl", output_dtype: str = "float32") -> S3Shards:
    """Make the sink of an address."""
    sink = sink_from(uri, output_dtype=output_dtype)
    assert isinstance(sink, S3Shards)
    return sink


def test_a_line_of_jsonl_has_the_whole_result_with_the_shortest_numbers(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """The numbers read back as the same float32, and metadata is a field of its own."""
    vector = np.array([0.1, -2.5e-7, 3], np.float32)
    assert shards().write([result("ä", vector, lang="fr", nested={"a": [1, None]}), result("b")]) == []
    (key,) = keys(s3)
    assert key.startswith("out/")
    assert key.endswith(".jsonl")
    first, second, end = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().split(b"\n")
    assert b'"embedding":[0.1,' in first
    line = json.loads(first)
    assert np.array(line.pop("embedding"), np.float32).tobytes() == vector.tobytes()
    assert line == {"id": "ä", "tokens": 2, "truncated": False, "metadata": {"lang": "fr", "nested": {"a": [1, None]}}}
    assert json.loads(second)["id"] == "b"
    assert end == b""


def test_a_parquet_shard_has_the_same_fields_as_jsonl(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Metadata is JSON, as a string."""
    written = [result("a", lang="fr"), result("b", text="long " * 50)]
    assert shards(f"s3://{BUCKET}?format=parquet").write(written) == []
    (key,) = keys(s3)
    rows = pq.read_table(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())).to_pylist()
    assert [np.array(row.pop("embedding"), np.float32).tolist() for row in rows] == [one.vector.tolist() for one in written]
    assert rows == [
        {"id": "a", "tokens": 2, "truncated": False, "metadata": '{"lang":"fr"}'},
        {"id": "b", "tokens": 50, "truncated": True, "metadata": "{}"},
    ]


@pytest.mark.parametrize("output_dtype", TYPES)
def test_an_empty_parquet_shard_has_the_schema_of_a_full_one(s3: Any, output_dtype: str) -> None:  # noqa: ANN401 - botocore's
    """Otherwise a query over all shards of a prefix would find two types in a column."""
    sink = shards(f"s3://{BUCKET}?format=parquet", output_dtype)
    sink.write_shard([], "empty")
    sink.write_shard([result("a", np.zeros(8, TYPES[output_dtype].number))], "full")
    empty, full = (
        pq.read_table(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=f"{name}.parquet")["Body"].read())) for name in ("empty", "full")
    )
    assert (empty.num_rows, full.num_rows) == (0, 1)
    assert empty.schema == full.schema


def test_a_repeat_on_another_cpu_writes_the_same_key(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """Another CPU may compute other last bits, so the key depends on the texts and not on the vectors."""
    once = result("a")
    again = result("a", once.vector + np.float32(1e-7))
    shards().write([once])
    shards().write([again])
    assert len(keys(s3)) == 1
    shards().write([result("a", text="Another text.")])
    assert len(keys(s3)) == 2


def test_a_named_shard_has_a_receipt_that_is_found_later(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """A shard with a receipt need not be embedded again."""
    sink = shards()
    assert sink.find_receipt("corpus.jsonl/0-4096") is None
    receipt = sink.write_shard(results(3), "corpus.jsonl/0-4096")
    body = s3.get_object(Bucket=BUCKET, Key="out/corpus.jsonl/0-4096.jsonl")["Body"].read()
    assert receipt == Receipt(BUCKET, "out/corpus.jsonl/0-4096.jsonl", 3, hashlib.sha256(body).hexdigest())
    assert sink.find_receipt("corpus.jsonl/0-4096") == receipt


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_every_value_of_json_can_be_written(s3: Any, kind: str) -> None:  # noqa: ANN401 - botocore's
    """JSON may have half of a surrogate pair, a number over 64 bits, and deep nesting."""
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    hard = [result("half \ud800", half="\udfff"), result("large", number=10**30), result("deep", deep=deep)]
    assert shards(f"s3://{BUCKET}/hard?format={kind}").write(hard) == []
    assert len(keys(s3)) == 1


def test_no_results_make_no_shard(s3: Any) -> None:  # noqa: ANN401 - botocore's
    """An empty object would have no use."""
    assert shards().write([]) == []
    assert keys(s3) == []


def test_every_record_is_retried_if_the_bucket_does_not_exist(aws: LocalAWS) -> None:
    """That is not the fault of the records, so none of them is given up."""
    del aws
    failures = shards("s3://no-such-bucket/out").write([result("a", origin=HANDLE), result("b")])
    expected = [("a", True, HANDLE), ("b", True, NO_ORIGIN)]
    assert [(failure.id, failure.transient, failure.origin) for failure in failures] == expected
    assert failures[0].error == "The bucket no-such-bucket did not accept it: NoSuchBucket"


def test_every_record_is_retried_if_s3_cannot_be_reached(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sink gives up after three attempts."""
    del aws
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (failure,) = shards().write([result("a")])
    assert failure.transient
