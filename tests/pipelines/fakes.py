"""A service without a model, and sinks and a failure destination in memory. They are fast, and fail when a test wants it."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from handler.chunking import Chunk, Chunking, TokenCounts, split
from handler.config import Settings
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Token
from handler.errors import Backend, TooLarge, Unembeddable, Validation
from handler.records import Deleted, Failure, Result
from handler.service import Embeddings, Options
from handler.vectors import NEVER, Vectors
from tests.conftest import INT8
from tests.secrecy import say

DIMENSION = 4


def vector_of(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a vector that no other text has."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return np.frombuffer(digest[: 4 * DIMENSION], np.uint32).astype(np.float32)


@dataclass
class FakeService:
    """Embeds each text as its digest, in `seconds`. `failing` returns the error that a call with these texts raises, or None."""

    seconds: float = 0
    failing: Callable[[Sequence[str]], Exception | None] = lambda _: None
    asked: list[tuple[list[str], Options]] = field(default_factory=list)
    settings: Settings = field(default_factory=lambda: Settings.from_environment({"MODEL_DIR": str(INT8)}))
    manifest: Manifest = field(default_factory=lambda: replace(Manifest.read(INT8), dimension=DIMENSION))
    kernels: str = ""
    reranker: None = None

    @property
    def calls(self) -> list[list[str]]:
        """The texts of each call."""
        return [texts for texts, _ in self.asked]

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        self.asked.append((list(texts), options))
        say(*texts)
        if options.prompt_name:
            msg = "`prompt_name` is not one of this model's prompts: none"
            raise Validation(msg)
        if error := self.failing(texts):
            raise error
        for done in range(len(texts)):
            if time.monotonic() > deadline:
                msg = f"the time ran out: {done} of {len(texts)} inputs were embedded"
                raise TooLarge(msg)
            time.sleep(self.seconds)
        vectors = np.stack([vector_of(text) for text in texts])
        lengths = [len(text.split()) for text in texts]
        return Embeddings(vectors, lengths, [length > 256 for length in lengths], sum(map(len, texts)), 256, 0, 0)

    def embed_tokens(
        self, texts: Sequence[str], options: Options, check: Callable[[int, int], None], deadline: float = NEVER
    ) -> Embeddings[list[Vectors]]:
        raise NotImplementedError

    def tokens_of(self, texts: Sequence[str], options: Options, *, special: bool, deadline: float = NEVER) -> list[list[Token]]:
        raise NotImplementedError

    def chunks_of(self, text: str, options: Options, chunking: Chunking, deadline: float = NEVER) -> list[Chunk]:
        """Split a text. Each word is a token, and nothing is around them."""
        del options, deadline
        words = [match.start() for match in re.finditer(r"\S+", text)]
        return split(text, TokenCounts(words, lambda part: len(part.split())), chunking.tokens, chunking.overlap)

    def text_of(self, ids: Sequence[int]) -> str:
        raise NotImplementedError

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        raise NotImplementedError


def choking_on(*words: str) -> Callable[[Sequence[str]], Exception | None]:
    """Make a `failing` for which texts with one of these words have no vector."""
    return lambda texts: Unembeddable("no vector") if any(word in text for text in texts for word in words) else None


def without_model(texts: Sequence[str]) -> Exception:
    """Fail for every text, as without a model."""
    del texts
    return Backend("the model is missing")


@dataclass
class Memory:
    """A sink in memory. It refuses results whose text has a word of `refused`, as if it were busy."""

    refused: Sequence[str] = ()
    writes: list[list[str]] = field(default_factory=list)

    def write(self, results: Sequence[Result]) -> list[Failure]:
        taken = [result for result in results if not any(word in result.record.text for word in self.refused)]
        self.writes.append([result.record.id for result in taken])
        left = [result.record for result in results if result not in taken]
        return [Failure(record.id, "throttled", "Backend", transient=True, origin=record.origin) for record in left]

    @property
    def ids(self) -> list[str]:
        return [name for write in self.writes for name in write]


@dataclass
class MemoryIndex(Memory):
    """A sink that can delete. It refuses the ids in `refused`, as if it were busy."""

    deleted: list[str] = field(default_factory=list)

    def delete(self, gone: Sequence[Deleted]) -> list[Failure]:
        taken = [one for one in gone if one.id not in self.refused]
        self.deleted += [one.id for one in taken]
        left = [one for one in gone if one not in taken]
        return [Failure(one.id, "throttled", "Backend", transient=True, origin=one.origin) for one in left]


@dataclass
class MemoryDocuments:
    """A sink that can delete and read metadata. `before` is called before each change of one vector, and may raise."""

    vectors: dict[str, Result] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _: None
    refused: Sequence[str] = ()
    transient: bool = True
    reads: list[list[str]] = field(default_factory=list)

    def write(self, results: Sequence[Result]) -> list[Failure]:
        failures = []
        for result in results:
            if result.record.id in self.refused:
                origin = result.record.origin
                failures.append(Failure(result.record.id, "throttled", "Backend", transient=self.transient, origin=origin))
                continue
            self.before(result.record.id)
            self.vectors[result.record.id] = result
        return failures

    def delete(self, gone: Sequence[Deleted]) -> list[Failure]:
        for one in gone:
            self.before(one.id)
            self.vectors.pop(one.id, None)
        return []

    def read_metadata(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        self.reads.append(list(ids))
        return {name: self.vectors[name].record.metadata for name in ids if name in self.vectors}

    @property
    def texts(self) -> dict[str, str]:
        """The texts of the vectors, by their ids."""
        return {name: result.record.text for name, result in self.vectors.items()}


@dataclass
class MemoryShards(Memory):
    """A sink of whole shards."""

    files: dict[str, list[str]] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    def find_receipt(self, name: str) -> object:
        return name if name in self.files else None

    def write_shard(self, results: Sequence[Result], name: str) -> object:
        if failures := self.write(results):
            return failures
        self.repeated += [name] if name in self.files else []
        self.files[name] = [result.record.id for result in results]
        return name


@dataclass
class Kept:
    """A failure destination in memory. If it is `broken`, it refuses everything."""

    failures: list[tuple[Failure, object]] = field(default_factory=list)
    broken: bool = False

    def write(self, failures: Sequence[tuple[Failure, object]]) -> list[Failure]:
        if self.broken:
            return [replace(failure, transient=True) for failure, _ in failures]
        self.failures += failures
        return []

    @property
    def reasons(self) -> dict[str, str]:
        return {failure.id: failure.error for failure, _ in self.failures}


def event(name: str) -> Path:
    """Return the path of an example event."""
    return Path(__file__).parents[2] / f"events/{name}.json"
