"""The settings of a deployment, which are read once; pipeline_settings.py has those of a pipeline.

Law: frozen values made from a mapping. Only handler/bootstrap.py passes the real environment.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from handler.environment import read_boolean, read_matching, read_positive, read_whole
from handler.vector_types import FLOAT32, TYPES

MEMORY_SIZE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
MEMORY_PER_VCPU_MB = 1769
"""Lambda gives one vCPU for each 1,769 MB of memory (AWS Lambda developer guide, "Configuring function memory")."""
KERNELS = ("avx512_vnni", "avx2", "i8mm", "dotprod")
"""The sets of kernels of the encoder's operators, named after the instructions they need (layers/runtime/operators/processor.h)."""
BUCKET_AND_PREFIX = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\.)[\w.@=+-]+)+"
"""The addresses of models in S3. No part of a path starts with a dot, because it becomes the path of a folder."""
SHA256 = r"[0-9a-f]{64}"
INDEX_NAME = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
INDEX_ARN = rf"arn:aws[a-z-]*:s3vectors:[a-z0-9-]+:\d{{12}}:bucket/{INDEX_NAME}/index/{INDEX_NAME}"


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The settings of the cache. If `table` is empty, vectors are cached in this process only."""

    table: str
    key_secret: str = field(repr=False)
    key_secret_arn: str
    memory_bytes: int
    min_tokens: int
    ttl_days: int
    budget_seconds: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            Backend: as Settings.from_environment.
        """
        return cls(
            table=environment.get("CACHE_TABLE", "").strip(),
            key_secret=environment.get("CACHE_KEY_SECRET", ""),
            key_secret_arn=environment.get("CACHE_KEY_SECRET_ARN", "").strip(),
            memory_bytes=read_whole(environment, "CACHE_MEMORY_MB", default=32) * 1_000_000 // count_processes(environment),
            min_tokens=read_whole(environment, "CACHE_MIN_TOKENS", default=0),
            ttl_days=read_positive(environment, "CACHE_TTL_DAYS", default=30),
            budget_seconds=read_positive(environment, "CACHE_BUDGET_MS", default=150) / 1000,
        )


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """The place of a model: the folder `directory`, or S3 if there is a `uri`; then it is fetched to a folder in `tmp`.

    name: the start of the names of its settings, MODEL or RERANKER.
    sha256: that of its manifest.json; empty if any is served.
    """

    name: str
    directory: Path
    uri: str
    sha256: str
    tmp: Path


MODEL_FOLDER, RERANKER_FOLDER = "/opt/model", "/opt/reranker"
"""The folders of the model's layer."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One deployment's settings; handler/README.md lists the environment variables.

    `reranker` is None if the deployment has no reranker.
    """

    model: ModelPlace
    reranker: ModelPlace | None
    auto_truncate: bool
    max_client_batch_size: int
    threads: int
    kernels: str
    memory_mb: int
    cache: CacheSettings
    output_dtype: str
    search_index_arn: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            Backend: a variable has a value that cannot be used; the sentence names both.
        """
        return cls(
            model=_model(environment),
            reranker=_reranker(environment),
            auto_truncate=read_boolean(environment, "AUTO_TRUNCATE", default=True),
            max_client_batch_size=read_positive(environment, "MAX_CLIENT_BATCH_SIZE", default=2048),
            threads=read_positive(environment, "THREADS", default=_count_vcpus(environment)),
            kernels=read_matching(environment, "KERNELS", "|".join(KERNELS), " or ".join(KERNELS)),
            memory_mb=read_positive(environment, MEMORY_SIZE, default=MEMORY_PER_VCPU_MB) // count_processes(environment) or 1,
            cache=CacheSettings.from_environment(environment),
            output_dtype=output_dtype(environment),
            search_index_arn=search_index_arn(environment),
        )

    def truncates(self, wanted: bool | None) -> bool:  # noqa: FBT001 - an option of a request
        """Return whether long texts are truncated, where a request says it is `wanted`, or nothing."""
        return self.auto_truncate if wanted is None else wanted


def _model(environment: Mapping[str, str]) -> ModelPlace:
    """Return the place of the model that embeds."""
    return ModelPlace(
        "MODEL",
        directory=Path(environment.get("MODEL_DIR", MODEL_FOLDER)),
        uri=read_matching(environment, "MODEL_URI", BUCKET_AND_PREFIX, "s3://bucket/prefix"),
        sha256=read_matching(environment, "MODEL_SHA256", SHA256, "64 hexadecimal digits"),
        tmp=_model_tmp(environment),
    )


def _reranker(environment: Mapping[str, str]) -> ModelPlace | None:
    """Return the place of the reranker: the one that is named, or the layer's, if there is one."""
    named = environment.get("RERANKER_DIR", "").strip()
    place = ModelPlace(
        "RERANKER",
        directory=Path(named or RERANKER_FOLDER),
        uri=read_matching(environment, "RERANKER_URI", BUCKET_AND_PREFIX, "s3://bucket/prefix"),
        sha256=read_matching(environment, "RERANKER_SHA256", SHA256, "64 hexadecimal digits"),
        tmp=_model_tmp(environment),
    )
    return place if named or place.uri or place.directory.exists() else None


def _model_tmp(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("MODEL_TMP", "/tmp/model"))  # noqa: S108 - Lambda's only folder that can be written


def output_dtype(environment: Mapping[str, str]) -> str:
    """Return the type of vectors of requests and records that name none.

    Raises:
        Backend: OUTPUT_DTYPE names no type.
    """
    return read_matching(environment, "OUTPUT_DTYPE", "|".join(TYPES), " or ".join(TYPES)) or FLOAT32.name


def search_index_arn(environment: Mapping[str, str]) -> str:
    """Return the ARN of the index that is searched; "" for none.

    Raises:
        Backend: SEARCH_INDEX_ARN is no such ARN.
    """
    return read_matching(environment, "SEARCH_INDEX_ARN", INDEX_ARN, "the ARN of an index of S3 Vectors")


@dataclass(frozen=True, slots=True)
class KeySettings:
    """The settings of API keys: one of `keys`, or of the keys in `secret`, is required over HTTP if `requires_key`.

    `pages` is true if the pages for browsers require no key.
    """

    requires_key: bool
    pages: bool
    keys: tuple[str, ...]
    secret: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read AUTH, PAGES, API_KEYS and API_KEYS_SECRET. If none is set, a key is required, and no key is valid."""
        keys = (key.strip() for key in environment.get("API_KEYS", "").split(","))
        return cls(
            requires_key=environment.get("AUTH", "").strip().lower() != "none",
            pages=environment.get("PAGES", "").strip().lower() != "false",
            keys=tuple(key for key in keys if key),
            secret=environment.get("API_KEYS_SECRET", "").strip(),
        )


def count_processes(environment: Mapping[str, str]) -> int:
    """Return the number of processes that share this execution environment's memory, vCPUs and /tmp.

    Lambda Managed Instances run one process for each concurrent invocation (awslambdaric/__main__.py). Elsewhere there is one.

    Raises:
        Backend: AWS_LAMBDA_MAX_CONCURRENCY is not a number.
    """
    return read_positive(environment, "AWS_LAMBDA_MAX_CONCURRENCY", default=1)


def _count_vcpus(environment: Mapping[str, str]) -> int:
    """Return the number of vCPUs that this process may use: all that it sees, or under Lambda the number that was paid for."""
    visible = os.process_cpu_count() or 1
    if MEMORY_SIZE in environment:
        # Up to 3,008 MB, two cores are visible, even if only a share of one was paid for.
        visible = min(visible, read_positive(environment, MEMORY_SIZE, default=MEMORY_PER_VCPU_MB) // MEMORY_PER_VCPU_MB)
    return max(1, visible // count_processes(environment))
