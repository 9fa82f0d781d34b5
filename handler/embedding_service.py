"""The path from texts to vectors: tokenize, look up or encode each distinct text once, keep the requested dimensions, normalize.

Law: knows nothing of HTTP, events or AWS.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from handler.cache.key import Key
from handler.cache.vector_cache import VectorCache
from handler.chunking import LEAST_TEXT_TOKENS, Chunk, Chunking, NoRoom, TokenCounts, split
from handler.config import Settings
from handler.distinct_texts import DistinctTexts
from handler.embedding.input_checks import check_whole
from handler.embedding.manifest import Manifest
from handler.embedding.paced_encoder import SentenceEncoder
from handler.embedding.tokenization import Token, Tokenization, Tokens
from handler.errors import TooLarge, Validation, shown
from handler.finishing import finish
from handler.service import Embeddings, Options, Reranker
from handler.vector_types import ModelTypes
from handler.vectors import NEVER, Vectors


class EmbeddingService:
    """A service with a loaded model."""

    def __init__(
        self,
        settings: Settings,
        manifest: Manifest,
        tokenization: Tokenization,
        encoder: SentenceEncoder,
        cache: VectorCache,
        reranker: Reranker | None = None,
    ) -> None:
        """Serve this model with these settings; `reranker` is a second model, for rerank."""
        self.settings = settings
        self.manifest = manifest
        self._tokenization = tokenization
        self._encoder = encoder
        self._cache = cache
        self.reranker = reranker
        self.kernels = encoder.kernels
        self._types = ModelTypes(manifest.dimension, manifest.ranges, settings.output_dtype)

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Embed texts. The same text gives the same bits, whatever other texts are embedded with it.

        `deadline` is the reading of time.monotonic() after which no further text is begun.

        Raises:
            TooLarge: not all texts can be embedded before the deadline, or could not (OutOfTime). Unless the cache is not
                used, the vectors that were finished are cached.
            Validation: this model does not take an option, or a text of this length.
            Tokenizer: a text cannot be encoded.
            Backend: the model returned a vector that is not finite.
        """
        self._check_dimensions(options)
        normalize = self.manifest.normalizes(options.normalize)
        self._types.check(options.output_dtype, options.dimensions, normalize=normalize)
        distinct = DistinctTexts.of(texts)
        started = time.perf_counter_ns()
        tokens = self._tokenized(distinct.texts, options, deadline, distinct.first)
        tokenized = time.perf_counter_ns()
        # The encoder needs the end of the prompt only if the model leaves its prompt out of the pool.
        prompt = "" if self.manifest.include_prompt else self.manifest.prompt(options.prompt_name)
        prompt_tokens = self._tokenization.prompt_tokens(prompt)
        keys = self._keys(distinct.texts, tokens, options)
        by_key = dict(zip(keys, tokens, strict=True))
        find = self._cache.find_or_encode if options.use_cache else self._cache.encode
        found = find(
            {key: len(text.ids) for key, text in by_key.items()},
            lambda missing: self._encoder.encode([by_key[key].ids for key in missing], deadline, prompt_tokens),
        )
        stacked = np.stack([found.vectors[keys[place]] for place in distinct.places])
        vectors = self._types.make(finish(stacked, options, normalize=normalize), options.output_dtype)
        result = self._result(vectors, texts, [tokens[place] for place in distinct.places], started, tokenized)
        hits = sum(keys[place] in found.hits for place in distinct.places)
        return replace(result, hits=hits, misses=len(texts) - hits if found.is_looked_up else 0)

    def embed_tokens(
        self, texts: Sequence[str], options: Options, check: Callable[[int, int], None], deadline: float = NEVER
    ) -> Embeddings[list[Vectors]]:
        """Embed each token of each text, special tokens included: vectors (tokens, hidden) before any pooling.

        `check` is called with the number of tokens and a vector's length before anything is encoded, and may raise.

        Raises:
            EmbeddingError: the same errors as embed, and those of `check`.
        """
        self._check_dimensions(options)
        started = time.perf_counter_ns()
        tokens = self._tokenized(texts, options, deadline, range(len(texts)))
        if not self._encoder.hidden:
            msg = "This model gives no vectors of tokens: it was built from an ONNX file that gives one vector for each text"
            raise Validation(msg)
        check(sum(len(token.ids) for token in tokens), self._encoder.hidden)
        tokenized = time.perf_counter_ns()
        vectors = self._encoder.encode_tokens([token.ids for token in tokens], deadline)
        return self._result(vectors, texts, tokens, started, tokenized)

    def tokens_of(self, texts: Sequence[str], options: Options, *, special: bool, deadline: float = NEVER) -> list[list[Token]]:
        """Return the tokens of each text with its prompt, not truncated; with the special tokens around them if `special`.

        Raises:
            TooLarge, Validation, Tokenizer: for the same reasons as embed.
        """
        self._check_dimensions(options)
        prompt = self.manifest.prompt(options.prompt_name)
        return self._tokenization.describe([prompt + text for text in texts], special=special, deadline=deadline)

    def chunks_of(self, text: str, options: Options, chunking: Chunking, deadline: float = NEVER) -> list[Chunk]:
        """Return the chunks of a text: at most `chunking.tokens` tokens each, and never more than the model's limit.

        The prompt and the special tokens count as well. The overlap is at most half of the tokens that they leave for the text.

        Raises:
            TooLarge: the deadline passed before the text was split.
            Tokenizer: the text cannot be encoded.
            Validation: the model has no such prompt, or the prompt leaves too little room for text.
        """
        prompt = self.manifest.prompt(options.prompt_name)
        limit = min(chunking.tokens, self._tokenization.max_length)
        taken = self._tokenization.count(prompt)
        if limit - taken < LEAST_TEXT_TOKENS:
            msg = (
                f"A chunk has at most {limit} tokens, of which the prompt and the special tokens take {taken}: "
                f"at least {LEAST_TEXT_TOKENS} must be left for the text"
            )
            raise Validation(msg)
        starts = self._tokenization.find_starts(text, deadline)

        def count(part: str) -> int:
            if time.monotonic() > deadline:
                msg = "the time ran out while a text was split into chunks"
                raise TooLarge(msg)
            return self._tokenization.count(prompt + part)

        try:
            return split(text, TokenCounts(starts, count), limit, min(chunking.overlap, (limit - taken) // 2))
        except NoRoom as error:
            msg = f"The character at position {error.place} has more tokens than a chunk of {limit} tokens has room for"
            raise Validation(msg) from error

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text that token ids of this model stand for.

        Raises:
            Validation: one of them is no token id of this model.
        """
        return self._tokenization.text_of(ids)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Return the text of token ids of this model, with its special tokens unless they are skipped.

        Raises:
            Validation: one of them is no token id of this model.
        """
        return self._tokenization.decode(ids, skip_special_tokens=skip_special_tokens)

    def _keys(self, texts: Iterable[str], tokens: Sequence[Tokens], options: Options) -> list[Key]:
        """Return the cache's key of each text."""
        prompt = self.manifest.prompt(options.prompt_name)
        # The vector of a text that was not truncated does not depend on these options.
        truncation = f"{options.truncation_direction} {self._tokenization.max_length}"
        return [
            self._cache.key(prompt, text, truncation if token.truncated else "") for text, token in zip(texts, tokens, strict=True)
        ]

    def _tokenized(self, texts: Sequence[str], options: Options, deadline: float, places: Sequence[int]) -> list[Tokens]:
        prompt = self.manifest.prompt(options.prompt_name)
        prompted = [prompt + text for text in texts]
        tokens = self._tokenization.tokenize(prompted, options.truncation_direction, deadline, places)
        if not self.settings.truncates(options.truncate):
            check_whole(tokens, self._tokenization.max_length, places)
        return tokens

    def _result[V](
        self, vectors: V, texts: Sequence[str], tokens: Sequence[Tokens], started_ns: int, tokenized_ns: int
    ) -> Embeddings[V]:
        return Embeddings(
            vectors=vectors,
            tokens_each=[len(token.ids) for token in tokens],
            truncated_each=[token.truncated for token in tokens],
            characters=sum(map(len, texts)),
            max_length=self._tokenization.max_length,
            tokenization_ns=tokenized_ns - started_ns,
            inference_ns=time.perf_counter_ns() - tokenized_ns,
        )

    def _check_dimensions(self, options: Options) -> None:
        dimension = self.manifest.dimension
        if options.dimensions is not None and not 1 <= options.dimensions <= dimension:
            msg = f"`dimensions` must be between 1 and {dimension}. Given: {shown(options.dimensions)}"
            raise Validation(msg)
