"""The one way from texts to vectors: tokenise, encode each distinct text once, cut, normalise.

Law: knows nothing of HTTP, events or AWS. Every function and every dialect comes through here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handler.config import Settings
from handler.embedding.encoder import Encoder, Vectors
from handler.embedding.manifest import Manifest
from handler.embedding.tokenization import Direction, Tokenization, Tokens
from handler.errors import Backend, Empty, TooLarge, Validation


@dataclass(frozen=True, slots=True)
class Options:
    """How texts are embedded. None stands for the deployment's or the model's own default."""

    normalize: bool = True
    prompt_name: str | None = None
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors (texts, dimensions) in the order of the texts, and what making them took. Durations are in nanoseconds."""

    vectors: Vectors
    tokens: int
    characters: int
    truncated: int
    max_length: int
    tokenization_ns: int
    inference_ns: int


class Service(Protocol):
    """What a function or a dialect asks of the house."""

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        ...

    @property
    def manifest(self) -> Manifest:
        """The model served. Raises Backend if there is none."""
        ...

    def embed(self, texts: Sequence[str], options: Options) -> Embeddings:
        """Vectors of `texts`. Raises an EmbeddingError that says what was wrong."""
        ...


class EmbeddingService:
    """A loaded model at work."""

    def __init__(self, settings: Settings, manifest: Manifest, tokenization: Tokenization, encoder: Encoder) -> None:
        """Serve this model with these settings."""
        self.settings = settings
        self.manifest = manifest
        self._tokenization = tokenization
        self._encoder = encoder

    def embed(self, texts: Sequence[str], options: Options) -> Embeddings:
        """Vectors of `texts`; the same text gives the same bits whatever stands beside it.

        Raises:
            Empty: there is no text, or one is empty.
            TooLarge: there are more texts than the deployment allows.
            Validation: an option, or the length of a text, is not one that this model takes.
            Tokenizer: a text cannot be encoded.
            Backend: the model gave a vector that is not finite.
        """
        self._check(texts, options)
        started = time.perf_counter_ns()
        prompt = self._prompt(options.prompt_name)
        # A text that comes twice is embedded once; `places` finds its vector for each place it came from.
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        tokens = self._tokenization.tokenize([prompt + text for text in distinct], options.truncation_direction)
        prompt_tokens = 0 if self.manifest.include_prompt else self._tokenization.prompt_tokens(prompt)
        places = [distinct[text] for text in texts]
        self._check_lengths([tokens[place] for place in places], options.truncate)
        tokenized = time.perf_counter_ns()
        vectors = self._encoder.encode([token.ids for token in tokens], prompt_tokens)[places]
        vectors = finished(vectors, options)
        return Embeddings(
            vectors=vectors,
            tokens=sum(len(tokens[place].ids) for place in places),
            characters=sum(map(len, texts)),
            truncated=sum(tokens[place].truncated for place in places),
            max_length=self._tokenization.max_length,
            tokenization_ns=tokenized - started,
            inference_ns=time.perf_counter_ns() - tokenized,
        )

    def _check(self, texts: Sequence[str], options: Options) -> None:
        if not texts:
            msg = "`inputs` cannot be empty"
            raise Empty(msg)
        limit = self.settings.max_client_batch_size
        if len(texts) > limit:
            msg = f"batch size {len(texts)} > maximum allowed batch size {limit}"
            raise TooLarge(msg)
        if not all(texts):
            msg = "`inputs` cannot be empty" if len(texts) == 1 else f"`inputs[{texts.index('')}]` cannot be empty"
            raise Empty(msg)
        dimension = self.manifest.dimension
        if options.dimensions is not None and not 1 <= options.dimensions <= dimension:
            msg = f"`dimensions` must be between 1 and {dimension}. Given: {options.dimensions}"
            raise Validation(msg)

    def _prompt(self, name: str | None) -> str:
        prompts = self.manifest.prompts
        name = self.manifest.default_prompt_name if name is None else name
        if name is None:
            return ""
        if name not in prompts:
            known = ", ".join(f"`{known}`" for known in prompts) or "none"
            msg = f"`prompt_name` is not one of this model's prompts: {known}. Given: {name[:100]!r}"
            raise Validation(msg)
        return prompts[name]

    def _check_lengths(self, tokens: Sequence[Tokens], truncate: bool | None) -> None:  # noqa: FBT001 - an option as it came
        if self.settings.auto_truncate if truncate is None else truncate:
            return
        for text in tokens:
            if text.truncated:
                limit = self._tokenization.max_length
                msg = f"Input validation error: `inputs` must have less than {limit} tokens. Given: {text.given}"
                raise Validation(msg)


class NoService:
    """Stands where a model could not be loaded: every call is answered with the sentence that says why."""

    def __init__(self, reason: Backend) -> None:
        """Answer with `reason`."""
        self._reason = str(reason)

    @property
    def settings(self) -> Settings:
        """Raises Backend."""
        raise Backend(self._reason)

    @property
    def manifest(self) -> Manifest:
        """Raises Backend."""
        raise Backend(self._reason)

    def embed(self, texts: Sequence[str], options: Options) -> Embeddings:
        """Raises Backend."""
        del texts, options
        raise Backend(self._reason)


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
