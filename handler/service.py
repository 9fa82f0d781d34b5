"""The one way from texts to vectors: tokenise, recall or encode each distinct text once, cut, normalise.

Law: knows nothing of HTTP, events or AWS. Every function and every dialect comes through here.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from handler.cache.key import Key
from handler.cache.vector_cache import VectorCache
from handler.config import Settings
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Token, Tokenization, Tokens
from handler.errors import Backend, TooLarge, Validation, shown
from handler.vector_types import ModelTypes
from handler.vectors import NEVER, Direction, TokenIds, Vectors


@dataclass(frozen=True, slots=True)
class Options:
    """How texts are embedded. None stands for the deployment's or the model's own default."""

    normalize: bool = True
    prompt_name: str | None = None
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    dimensions: int | None = None
    use_cache: bool = True
    output_dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Embeddings[V]:
    """Vectors in the order of the texts, and what making them took. Durations are in nanoseconds.

    V is an array (texts, dimensions), of the type of vectors that the options name, or a list of arrays (tokens, hidden).
    `tokens_each` counts the tokens embedded of each text, `cut` says of which some were left out. `hits` and `misses` count the
    texts that were looked up: none where the cache was not to be used.
    """

    vectors: V
    tokens_each: Sequence[int]
    cut: Sequence[bool]
    characters: int
    max_length: int
    tokenization_ns: int
    inference_ns: int
    hits: int = 0
    misses: int = 0

    @property
    def figures(self) -> dict[str, int]:
        """What the log tells of them."""
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
        """The tokens of all texts."""
        return sum(self.tokens_each)

    @property
    def truncated(self) -> int:
        """How many texts were cut."""
        return sum(self.cut)


class Service(Protocol):
    """What a function or a dialect asks of the house. Every call raises an EmbeddingError that says what was wrong."""

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        ...

    @property
    def manifest(self) -> Manifest:
        """The model served."""
        ...

    @property
    def kernels(self) -> str:
        """The name of the kernels that the encoder's own operators use; empty for a model that has none of these operators."""
        ...

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """One vector for each of `texts`."""
        ...

    def embed_tokens(
        self, texts: Sequence[str], options: Options, check: Callable[[int, int], None], deadline: float = NEVER
    ) -> Embeddings[list[Vectors]]:
        """One vector for each token of each of `texts`."""
        ...

    def tokens_of(self, texts: Sequence[str], options: Options, *, special: bool, deadline: float = NEVER) -> list[list[Token]]:
        """The tokens of each of `texts`, uncut."""
        ...

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that token ids stand for."""
        ...


class SentenceEncoder(Protocol):
    """What turns token ids into vectors: handler/embedding/encoder.py has the real one."""

    hidden: int
    kernels: str

    def encode(self, sequences: Sequence[TokenIds], deadline: float, prompt_tokens: int) -> Vectors:
        """Pooled vectors (sequences, dimension); the first `prompt_tokens` of each sequence are the prompt's."""
        ...

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float) -> list[Vectors]:
        """Vectors (tokens, hidden) of each sequence."""
        ...


class EmbeddingService:
    """A loaded model at work."""

    def __init__(
        self, settings: Settings, manifest: Manifest, tokenization: Tokenization, encoder: SentenceEncoder, cache: VectorCache
    ) -> None:
        """Serve this model with these settings."""
        self.settings = settings
        self.manifest = manifest
        self._tokenization = tokenization
        self._encoder = encoder
        self._cache = cache
        self.kernels = encoder.kernels
        self._types = ModelTypes(manifest.dimension, manifest.ranges, settings.output_dtype)

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Vectors of `texts`; the same text gives the same bits whatever stands beside it.

        `deadline` is the reading of time.monotonic() after which no further text is begun.

        Raises:
            TooLarge: there are more texts than can be embedded before the deadline.
            Validation: an option, or the length of a text, is not one that this model takes.
            Tokenizer: a text cannot be encoded.
            Backend: the model gave a vector that is not finite.
        """
        self._check(options)
        self._types.check(options.output_dtype, options.dimensions, normalize=options.normalize)
        # A text that comes twice is embedded once; `places` finds its vector for each place it came from.
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        places = [distinct[text] for text in texts]
        firsts = dict(zip(reversed(texts), range(len(texts) - 1, -1, -1), strict=True))  # a failure names the client's own index
        started = time.perf_counter_ns()
        tokens = self._tokenized(list(distinct), options, deadline, [firsts[text] for text in distinct])
        tokenized = time.perf_counter_ns()
        # Only a model that leaves its prompt out of the pool has to know where the prompt ends.
        prompt = "" if self.manifest.include_prompt else self._prompt(options.prompt_name)
        prompt_tokens = self._tokenization.prompt_tokens(prompt)
        keys = self._keys(distinct, tokens, options)
        by_key = dict(zip(keys, tokens, strict=True))
        recall = self._cache.recall if options.use_cache else self._cache.encode
        recalled = recall(
            {key: len(text.ids) for key, text in by_key.items()},
            lambda missing: self._encoder.encode([by_key[key].ids for key in missing], deadline, prompt_tokens),
        )
        vectors = finished(np.stack([recalled.vectors[keys[place]] for place in places]), options)
        vectors = self._types.make(vectors, options.output_dtype)
        result = self._result(vectors, texts, [tokens[place] for place in places], started, tokenized)
        hits = sum(keys[place] in recalled.hits for place in places)
        return replace(result, hits=hits, misses=len(texts) - hits if recalled.asked else 0)

    def embed_tokens(
        self, texts: Sequence[str], options: Options, check: Callable[[int, int], None], deadline: float = NEVER
    ) -> Embeddings[list[Vectors]]:
        """The vectors (tokens, hidden) of each text, special tokens included, as they are before any pooling.

        `check` is given the number of tokens and a vector's length before anything is computed, and may raise.

        Raises:
            As embed.
        """
        self._check(options)
        started = time.perf_counter_ns()
        tokens = self._tokenized(texts, options, deadline, range(len(texts)))
        check(sum(len(token.ids) for token in tokens), self._encoder.hidden)
        tokenized = time.perf_counter_ns()
        vectors = self._encoder.encode_tokens([token.ids for token in tokens], deadline)
        return self._result(vectors, texts, tokens, started, tokenized)

    def tokens_of(self, texts: Sequence[str], options: Options, *, special: bool, deadline: float = NEVER) -> list[list[Token]]:
        """The tokens of each text with its prompt, uncut, with the special ones around them if `special`.

        Raises:
            TooLarge, Validation, Tokenizer: as embed.
        """
        self._check(options)
        prompt = self._prompt(options.prompt_name)
        return self._tokenization.describe([prompt + text for text in texts], special=special, deadline=deadline)

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that token ids of this model stand for.

        Raises:
            Validation: one of them is none.
        """
        return self._tokenization.text_of(ids)

    def _keys(self, texts: Iterable[str], tokens: Sequence[Tokens], options: Options) -> list[Key]:
        """The cache's key of each text."""
        prompt = self._prompt(options.prompt_name)
        # Where nothing was cut, it is all the same which end would have been.
        cut = f"{options.truncation_direction} {self._tokenization.max_length}"
        return [self._cache.key(prompt, text, cut if token.truncated else "") for text, token in zip(texts, tokens, strict=True)]

    def _tokenized(self, texts: Sequence[str], options: Options, deadline: float, places: Sequence[int]) -> list[Tokens]:
        prompt = self._prompt(options.prompt_name)
        prompted = [prompt + text for text in texts]
        tokens = self._tokenization.tokenize(prompted, options.truncation_direction, deadline, places)
        self._check_lengths(tokens, options.truncate)
        return tokens

    def _result[V](
        self, vectors: V, texts: Sequence[str], tokens: Sequence[Tokens], started_ns: int, tokenized_ns: int
    ) -> Embeddings[V]:
        return Embeddings(
            vectors=vectors,
            tokens_each=[len(token.ids) for token in tokens],
            cut=[token.truncated for token in tokens],
            characters=sum(map(len, texts)),
            max_length=self._tokenization.max_length,
            tokenization_ns=tokenized_ns - started_ns,
            inference_ns=time.perf_counter_ns() - tokenized_ns,
        )

    def _check(self, options: Options) -> None:
        dimension = self.manifest.dimension
        if options.dimensions is not None and not 1 <= options.dimensions <= dimension:
            msg = f"`dimensions` must be between 1 and {dimension}. Given: {shown(options.dimensions)}"
            raise Validation(msg)

    def _prompt(self, name: str | None) -> str:
        prompts = self.manifest.prompts
        name = self.manifest.default_prompt_name if name is None else name
        if name is None:
            return ""
        if name not in prompts:
            known = ", ".join(f"`{known}`" for known in prompts) or "none"
            msg = f"`prompt_name` is not one of this model's prompts: {known}. Given: {shown(name)}"
            raise Validation(msg)
        return prompts[name]

    def _check_lengths(self, tokens: Sequence[Tokens], truncate: bool | None) -> None:  # noqa: FBT001 - an option as it came
        if self.settings.auto_truncate if truncate is None else truncate:
            return
        for text in tokens:
            if text.truncated:
                limit = self._tokenization.max_length
                given = f"more than {text.given}" if text.more else text.given
                msg = f"Input validation error: `inputs` must have less than {limit} tokens. Given: {given}"
                raise Validation(msg)


class NoService:
    """Stands where a model could not be loaded: every call is answered with the sentence that says why.

    A model that is fetched may come at another try: `again` makes it, at the first call that comes `pause_seconds` after the last.
    """

    def __init__(self, reason: Backend, again: Callable[[], Service] | None = None, pause_seconds: float = 10) -> None:
        """Answer with `reason`, for good where there is no `again`."""
        self._reason = str(reason)
        self._again = again
        self._pause_seconds = pause_seconds
        self._not_before = time.monotonic() + pause_seconds
        self._service: Service | None = None
        self._lock = threading.Lock()  # a model is loaded once, however many threads ask for it

    def _loaded(self) -> Service:
        with self._lock:
            return self._load_if_due()

    def _load_if_due(self) -> Service:
        if self._service is None:
            if self._again is None or time.monotonic() < self._not_before:
                raise Backend(self._reason)
            try:
                self._service = self._again()
            except Backend as error:
                self._reason = str(error)
                self._not_before = time.monotonic() + self._pause_seconds
                raise
        return self._service

    @property
    def settings(self) -> Settings:
        """Raises Backend."""
        return self._loaded().settings

    @property
    def manifest(self) -> Manifest:
        """Raises Backend."""
        return self._loaded().manifest

    @property
    def kernels(self) -> str:
        """Raises Backend."""
        return self._loaded().kernels

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Raises Backend."""
        return self._loaded().embed(texts, options, deadline)

    def embed_tokens(
        self, texts: Sequence[str], options: Options, check: Callable[[int, int], None], deadline: float = NEVER
    ) -> Embeddings[list[Vectors]]:
        """Raises Backend."""
        return self._loaded().embed_tokens(texts, options, check, deadline)

    def tokens_of(self, texts: Sequence[str], options: Options, *, special: bool, deadline: float = NEVER) -> list[list[Token]]:
        """Raises Backend."""
        return self._loaded().tokens_of(texts, options, special=special, deadline=deadline)

    def text_of(self, ids: Sequence[int]) -> str:
        """Raises Backend."""
        return self._loaded().text_of(ids)


def check_batch(service: Service, size: int) -> None:
    """Hold the number of a client's inputs against the deployment's limit.

    Raises:
        TooLarge: with both.
    """
    limit = service.settings.max_client_batch_size
    if size > limit:
        msg = f"batch size {size} > maximum allowed batch size {limit}"
        raise TooLarge(msg)


def finished(vectors: Vectors, options: Options) -> Vectors:
    """Pooled vectors cut to the dimensions asked for, then brought to the length 1 if asked for."""
    if options.dimensions is not None:
        vectors = vectors[:, : options.dimensions]
    if options.normalize:
        # In float64 and row by row, so that a row's last bits depend on that row alone. The floor is torch's.
        norms = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
        vectors = (vectors / np.maximum(norms, NORM_FLOOR)).astype(np.float32)
    return vectors


NORM_FLOOR = 1e-12
"""torch.nn.functional.normalize's `eps`: a vector of zeros stays one."""
