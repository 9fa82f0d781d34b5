"""Fixtures of the search: an AWS whose S3 Vectors answers queries, and indexes in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from events.aws import LocalAWS
from tests.search.vectors_front import VectorsFront


@pytest.fixture
def front(aws_server: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[VectorsFront]:
    """Provide an AWS whose S3 Vectors answers queries, and let this test's clients find it."""
    with VectorsFront(aws_server) as front:
        for name, value in front.environment.items():
            monkeypatch.setenv(name, value)
        yield front


@dataclass(frozen=True)
class TestIndex:
    """An index of S3 Vectors, and a client for it."""

    __test__ = False

    client: Any
    arn: str

    def put(self, *vectors: tuple[str, Any, dict[str, Any]]) -> None:
        """Put vectors, each with its key and its metadata."""
        self.client.put_vectors(
            indexArn=self.arn,
            vectors=[{"key": key, "data": {"float32": list(map(float, data))}, "metadata": meta} for key, data, meta in vectors],
        )

    def tag(self, value: str) -> None:
        """Name the model of the index's vectors."""
        self.client.tag_resource(resourceArn=self.arn, tags={"embeddings-model": value})

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the index."""
        tags: dict[str, str] = self.client.list_tags_for_resource(resourceArn=self.arn)["tags"]
        return tags


type MakeIndex = Callable[..., TestIndex]
"""Makes an index; its arguments are those of CreateIndex."""


@pytest.fixture
def make_index(front: VectorsFront) -> MakeIndex:
    """Provide a function that makes an empty index, of 384 dimensions and with cosine unless it is told otherwise."""

    def make(dimension: int = 384, metric: str = "cosine") -> TestIndex:
        client = front.client("s3vectors")
        names = {"vectorBucketName": f"bucket-{uuid4().hex}", "indexName": "passages"}
        client.create_vector_bucket(vectorBucketName=names["vectorBucketName"])
        client.create_index(
            **names,
            dataType="float32",
            dimension=dimension,
            distanceMetric=metric,
            metadataConfiguration={"nonFilterableMetadataKeys": ["text"]},
        )
        return TestIndex(client, client.get_index(**names)["index"]["indexArn"])

    return make
