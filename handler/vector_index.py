"""An index of S3 Vectors: its properties, and whether its vectors can be compared with those of a model.

The sink and the search both check an index with this module, so that they refuse the same indexes. A tag of the index names the
model of its vectors: it takes one call to read, and no bytes of the vectors' metadata. The first write sets it.

Law: pure functions, and calls of a client that the caller made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from handler.embedding.manifest import Manifest

METRIC = "cosine"
"""The similarity of models and the distance of indexes that the search supports. S3 Vectors cannot compare by dot product."""
MODEL_TAG = "embeddings-model"
NOT_IN_A_TAG = re.compile(r"[^\w ./=+@-]", re.ASCII)
LONGEST_MODEL_NAME = 200
"""A tag has at most 256 characters: the model's name, a space, and the digits of its vector space."""
SPACE_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Index:
    """The properties of an index. A property that could not be read is None.

    `model` is the value of the tag; "" if there is no tag.
    """

    name: str
    arn: str = ""
    dimension: int | None = None
    metric: str | None = None
    non_filterable: frozenset[str] | None = None
    model: str | None = None

    @classmethod
    def read(cls, client: Any, name: str, address: Mapping[str, str]) -> Self:  # noqa: ANN401 - botocore's
        """Read the properties of the index at `address`, without its tag. It needs s3vectors:GetIndex."""
        index = client.get_index(**address)["index"]
        configured = index.get("metadataConfiguration") or {}
        return cls(
            name,
            index["indexArn"],
            index["dimension"],
            index["distanceMetric"],
            frozenset(configured.get("nonFilterableMetadataKeys", ())),
        )

    def with_model(self, client: Any) -> Self:  # noqa: ANN401 - botocore's
        """Read the tag that names the model of the index's vectors. It needs s3vectors:ListTagsForResource."""
        return replace(self, model=client.list_tags_for_resource(resourceArn=self.arn)["tags"].get(MODEL_TAG, ""))

    def tag(self, client: Any, manifest: Manifest) -> Self:  # noqa: ANN401 - botocore's
        """Set the tag. It needs s3vectors:TagResource."""
        model = model_of(manifest)
        client.tag_resource(resourceArn=self.arn, tags={MODEL_TAG: model})
        return replace(self, model=model)


def model_of(manifest: Manifest) -> str:
    """Return the tag's value for a model: its name and its vector space."""
    name = NOT_IN_A_TAG.sub("-", manifest.model_id)[:LONGEST_MODEL_NAME]
    return f"{name} {manifest.vector_space[:SPACE_DIGITS]}"


def find_model_fault(manifest: Manifest) -> str:
    """Return the reason for which no index can be searched with a model; "" if there is none."""
    if manifest.similarity == METRIC:
        return ""
    return (
        f"The model {manifest.model_id} is compared by {manifest.similarity}, and a search needs one that is compared by {METRIC}: "
        "deploy such a model, or deploy without a search index"
    )


def find_metric_fault(index: str, metric: str | None) -> str:
    """Return the reason for which an index that compares by this distance cannot be searched; "" if none is known."""
    if metric in {None, METRIC}:
        return ""
    return f"The index {index} compares by {metric}, and a search needs {METRIC}: name an index that compares by {METRIC}"


def find_mismatch(index: Index, manifest: Manifest, *, is_searched: bool) -> str:
    """Return the reason for which an index cannot hold the vectors of a model; "" if none is known.

    An index that is only written to may compare by another distance, and may hold vectors of fewer dimensions, which records can
    ask for. An index that this deployment searches may not.
    """
    name, dimension = f"The index {index.name}", manifest.dimension
    if index.model and _space(index.model) != _space(model_of(manifest)):
        return (
            f"{name} holds vectors of the model {index.model}, and this deployment has {model_of(manifest)}: these cannot be "
            f"compared. Name another index and embed the documents again, or remove the tag {MODEL_TAG} after you emptied this one"
        )
    if index.dimension is not None and (index.dimension != dimension if is_searched else index.dimension > dimension):
        return (
            f"{name} takes vectors of {index.dimension} numbers, and those of the model {manifest.model_id} have {dimension}: "
            "name an index of that dimension"
        )
    return (find_metric_fault(index.name, index.metric) or find_model_fault(manifest)) if is_searched else ""


def _space(model: str) -> str:
    return model.rpartition(" ")[2]
