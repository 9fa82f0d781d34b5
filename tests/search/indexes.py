"""Indexes of S3 Vectors for tests."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.search.vectors_front import VectorsFront


@dataclass(frozen=True)
class LocalIndex:
    """An index of S3 Vectors, and a client for it."""

    client: Any
    arn: str

    def put(self, *vectors: tuple[str, Any, dict[str, Any]]) -> None:
        """Put vectors, each with its key and its metadata."""
        self.client.put_vectors(
            indexArn=self.arn,
            vectors=[{"key": key, "data": {"float32": list(map(float, data))}, "metadata": meta} for key, data, meta in vectors],
        )

    def ids(self) -> set[str]:
        """Return the ids of all vectors."""
        return {one["key"] for one in self.client.list_vectors(indexArn=self.arn)["vectors"]}

    def tag(self, value: str) -> None:
        """Name the model of the index's vectors."""
        self.client.tag_resource(resourceArn=self.arn, tags={"embeddings-model": value})

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the index."""
        tags: dict[str, str] = self.client.list_tags_for_resource(resourceArn=self.arn)["tags"]
        return tags


def create_index(front: VectorsFront, dimension: int = 384, metric: str = "cosine") -> LocalIndex:
    """Create an empty index, as the template makes it."""
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
    return LocalIndex(client, client.get_index(**names)["index"]["indexArn"])
