"""Settings of a deployment, read once.

Law: a frozen value made from a mapping; only handler/bootstrap.py hands it the real environment.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from handler.errors import Backend
from handler.vector_types import FLOAT32, TYPES

MEMORY_SIZE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
MEMORY_PER_VCPU_MB = 1769
"""Lambda gives one vCPU for each 1,769 MB of memory (AWS Lambda developer guide, "Configuring function memory")."""
KERNELS = ("avx512_vnni", "avx2", "i8mm", "dotprod")
"""Sets of kernels of the encoder's own operators, by the instructions that they need (layers/runtime/operators/processor.h)."""
BUCKET_AND_PREFIX = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\.)[\w.@=+-]+)+"
"""No part of it starts with a dot: it becomes the path of a folder."""
SHA256 = r"[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How vectors are remembered: in this process alone if `table` is empty."""

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
            memory_bytes=_whole(environment, "CACHE_MEMORY_MB", default=32) * 1_000_000 // processes(environment),
            min_tokens=_whole(environment, "CACHE_MIN_TOKENS", default=0),
            ttl_days=_positive(environment, "CACHE_TTL_DAYS", default=30),
            budget_seconds=_positive(environment, "CACHE_BUDGET_MS", default=150) / 1000,
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """One deployment's settings; README.md lists the environment variables."""

    model_dir: Path
    model_uri: str
    model_sha256: str
    model_tmp: Path
    auto_truncate: bool
    max_client_batch_size: int
    threads: int
    kernels: str
    memory_mb: int
    cache: CacheSettings
    output_dtype: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            Backend: a variable has a value that cannot be used; the sentence names both.
        """
        return cls(
            model_dir=Path(environment.get("MODEL_DIR", "/opt/model")),
            model_uri=_matching(environment, "MODEL_URI", BUCKET_AND_PREFIX, "s3://bucket/prefix"),
            model_sha256=_matching(environment, "MODEL_SHA256", SHA256, "64 hexadecimal digits"),
            model_tmp=Path(environment.get("MODEL_TMP", "/tmp/model")),  # noqa: S108 - Lambda's only folder that can be written
            auto_truncate=_boolean(environment, "AUTO_TRUNCATE", default=True),
            max_client_batch_size=_positive(environment, "MAX_CLIENT_BATCH_SIZE", default=512),
            threads=_positive(environment, "THREADS", default=_vcpus(environment)),
            kernels=_matching(environment, "KERNELS", "|".join(KERNELS), " or ".join(KERNELS)),
            memory_mb=_positive(environment, MEMORY_SIZE, default=MEMORY_PER_VCPU_MB) // processes(environment) or 1,
            cache=CacheSettings.from_environment(environment),
            output_dtype=output_dtype(environment),
        )


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What a pipeline reads and where it writes; README.md lists the environment variables."""

    text_field: str
    sink: str
    failure_destination: str
    continuation_queue: str
    inputs: tuple[str, ...]
    output_dtype: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            Backend: what is written would be read again; the sentence names both places.
        """
        settings = cls(
            text_field=environment.get("TEXT_FIELD", "").strip() or "inputs",
            sink=environment.get("SINK", "").strip(),
            failure_destination=environment.get("FAILURE_DESTINATION", "").strip(),
            continuation_queue=environment.get("CONTINUATION_QUEUE", "").strip(),
            inputs=tuple(place.strip() for place in environment.get("INPUT", "").split(",") if place.strip()),
            output_dtype=output_dtype(environment),
        )
        for name, output in settings.outputs.items():
            settings.check_output(name, output)
        return settings

    def check_output(self, name: str, output: str) -> None:
        """Hold a place that is written to, and the setting that names it, against those that are read.

        Raises:
            Backend: what is written would be read again; the sentence names both places.
        """
        for place in self.inputs:
            if overlap(place, output):
                msg = f"{name} {output} must lie outside of INPUT {place}: what is written there would be read again"
                raise Backend(msg)

    @property
    def outputs(self) -> Mapping[str, str]:
        """Where something is written, by the variable that says so."""
        named = {"SINK": self.sink, "FAILURE_DESTINATION": self.failure_destination}
        return {name: output for name, output in named.items() if output}


def output_dtype(environment: Mapping[str, str]) -> str:
    """Return the type of the vectors of requests and records that name none.

    Raises:
        Backend: the variable that says so names no type.
    """
    return _matching(environment, "OUTPUT_DTYPE", "|".join(TYPES), " or ".join(TYPES)) or FLOAT32.name


def overlap(place: str, output: str) -> bool:
    """Whether what is written to `output` is read from `place`. A prefix is as S3 understands it: `in` has `in-vectors/`, too."""
    if not place.startswith("s3://"):
        return place == output
    place = place if place.count("/") > BARE_BUCKET_SLASHES else place + "/"
    output = output.partition("?")[0].rstrip("/") + "/"
    return output.startswith(place) or place.startswith(output)


BARE_BUCKET_SLASHES = 2
"""Of `s3://bucket`."""


@dataclass(frozen=True, slots=True)
class KeySettings:
    """Who may call over HTTP: everyone if `open`, else the holders of `keys` or of the versions of `secret`.

    The pages for a browser require no key if `pages`.
    """

    open: bool
    pages: bool
    keys: tuple[str, ...]
    secret: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read AUTH, PAGES, API_KEYS and API_KEYS_SECRET. Nothing set lets no one in; of PAGES, only `false` closes the pages."""
        keys = (key.strip() for key in environment.get("API_KEYS", "").split(","))
        return cls(
            open=environment.get("AUTH", "").strip().lower() == "none",
            pages=environment.get("PAGES", "").strip().lower() != "false",
            keys=tuple(key for key in keys if key),
            secret=environment.get("API_KEYS_SECRET", "").strip(),
        )


def processes(environment: Mapping[str, str]) -> int:
    """Return the number of processes that share this execution environment's memory, vCPUs and /tmp.

    Lambda Managed Instances run a process for each concurrent invocation (awslambdaric/__main__.py); elsewhere it is one.

    Raises:
        Backend: the variable that says so is no number.
    """
    return _positive(environment, "AWS_LAMBDA_MAX_CONCURRENCY", default=1)


def _vcpus(environment: Mapping[str, str]) -> int:
    """The vCPUs this process may use: a share of what it sees under Lambda, all of it elsewhere."""
    visible = os.process_cpu_count() or 1
    if MEMORY_SIZE in environment:
        # Two cores are visible up to 3,008 MB, whatever share of them was paid for.
        visible = min(visible, _positive(environment, MEMORY_SIZE, default=MEMORY_PER_VCPU_MB) // MEMORY_PER_VCPU_MB)
    return max(1, visible // processes(environment))


def _boolean(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in {"", "true", "1", "false", "0"}:
        msg = f"{name} must be true or false; it is {value!r}"
        raise Backend(msg)
    return value in {"true", "1"} if value else default


def _matching(environment: Mapping[str, str], name: str, pattern: str, expected: str) -> str:
    value = environment.get(name, "").strip()
    if value and not re.fullmatch(pattern, value, re.ASCII):
        msg = f"{name} must be {expected}; it is {value!r}"
        raise Backend(msg)
    return value


def _positive(environment: Mapping[str, str], name: str, *, default: int) -> int:
    return _number(environment, name, default, least=1, expected="a whole number above 0")


def _whole(environment: Mapping[str, str], name: str, *, default: int) -> int:
    return _number(environment, name, default, least=0, expected="a whole number")


def _number(environment: Mapping[str, str], name: str, default: int, *, least: int, expected: str) -> int:
    value = environment.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and int(value) >= least):
        msg = f"{name} must be {expected}; it is {value!r}"
        raise Backend(msg)
    return int(value)
