"""What flows through a pipeline: a record in, a result or a failure out.

Law: plain values. Sources make records, the pipeline makes results of them, sinks write those; none of it knows the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handler.embedding.encoder import Vector
from handler.service import Options


@dataclass(frozen=True, slots=True)
class Record:
    """One text to embed.

    `id` names it in every result and is unique in its event; `metadata` is what else the record carried; `origin` is what its
    source needs to answer for it, and a write-back to find it again (a message's handle, an item's key): no one else reads it.
    """

    id: str
    text: str
    options: Options = field(default_factory=Options)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: Any = None


@dataclass(frozen=True, slots=True)
class Result:
    """A record's finished vector (dimensions,), float32; `tokens` counts what of the text was embedded."""

    record: Record
    vector: Vector
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that has no vector, or whose vector was not written, and why, in one sentence.

    A `transient` failure may pass if the record is tried again; any other goes to the failure destination, with its reason.
    """

    id: str
    error: str
    error_type: str
    transient: bool
    origin: Any = None
