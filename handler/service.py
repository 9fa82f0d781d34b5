"""The interface of embedding: from texts and options to vectors. Functions and dialects use only this interface of the model.

embedding_service.py implements it; unloaded_service.py stands in while there is no model.

Law: knows nothing of HTTP, events or AWS.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from handler.chunking import Chunk, Chunking
from handler.config import Settings
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Token
from handler.vectors import NEVER, Direction, Vector, Vectors


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one embedding. None stands for the default of the deployment or of the model."""

    normalize: bool | None = None
    prompt_name: str | None = None
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    dimensions: int | None = None
    use_cache: bool = True
    output_dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Embeddings[V]:
    """Vectors in the order of the texts, with counts and durations (in nanoseconds) of the work.

    V is an array (texts, dimensions) of the type of vectors that the options name, or a list of arrays (tokens, hidden).
    `tokens_each` counts the embedded tokens of each text; `truncated_each` is true for each text that was truncated. `hits` and
    `misses` count the texts that were looked up in the cache: both are 0 if the cache was not used.
    """

    vectors: V
    tokens_each: Sequence[int]
    truncated_each: Sequence[bool]
    characters: int
    max_length: int
    tokenization_ns: int
    inference_ns: int
    hits: int = 0
    misses: int = 0

    @property
    def figures(self) -> dict[str, int]:
        """The counts and durations that go into the log."""
        return {
            "texts": len(self.tokens_each),
            "tokens": self.tokens,
            "truncated": self.truncated,
            "hits": self.hits,
            "misses": self.misses,
            "tokenization_us": self.tokenization_ns // 1000,
            "inference_us": self.inference_ns // 1000,
        }

    @property
    def tokens(self) -> int:
        """The number of tokens of all texts."""
        return sum(self.tokens_each)

    @property
    def truncated(self) -> int:
        """The number of truncated texts."""
        return sum(self.truncated_each)


class Service(Protocol):
    """A model that embeds texts. Every method and property may raise an EmbeddingError that says what was wrong."""

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        ...

    @property
    def manifest(self) -> Manifest:
        """The description of the model that is served."""
        ...

    @property
    def kernels(self) -> str:
        """The name of the kernels that the encoder's own operators use; empty for a model without such operators."""
        ...

    @property
    def reranker(self) -> "Reranker | None":
        """The model that scores pairs of texts; None if the deployment has none."""
        ...

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Embed each text as one vector."""
        ...

    def embed_tokens(
        self, texts: Sequence[str], options: Options, check: Callable[[int, int], None], deadline: float = NEVER
    ) -> Embeddings[list[Vectors]]:
        """Embed each token of each text as one vector. `check` is called first, with the number of tokens and a vector's length."""
        ...

    def tokens_of(self, texts: Sequence[str], options: Options, *, special: bool, deadline: float = NEVER) -> list[list[Token]]:
        """Return the tokens of each text, not truncated."""
        ...

    def chunks_of(self, text: str, options: Options, chunking: Chunking, deadline: float = NEVER) -> list[Chunk]:
        """Return the chunks of a text, none of which is longer than the model's limit."""
        ...

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text that token ids stand for."""
        ...

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Return the text of token ids, with its special tokens unless they are skipped."""
        ...


class Reranker(Protocol):
    """A model that scores pairs of texts. Every method and property may raise an EmbeddingError that says what was wrong."""

    @property
    def manifest(self) -> Manifest | None:
        """The description of the model; None until its first use has loaded it."""
        ...

    def score(self, query: str, documents: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vector]:
        """Score how well each document fits the query. `vectors` of the result are the scores, before any activation."""
        ...
