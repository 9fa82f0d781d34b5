"""Read static models: a table with one row for each token of the tokenizer. A text's vector is the mean of its tokens' rows.

Sentence Transformers calls the module StaticEmbedding; Model2Vec's folders are read as that module reads them. The library
tokenizes without special tokens, keeps unknown tokens, and truncates only where tokenizer.json says so. This builder does the same,
but a model without a limit gets one (LONGEST).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from handler.embedding.manifest import TOKENIZER
from layers.model import known_fields, weights
from layers.model.configuration import TOKENIZER_BYTES, Configuration, Unsupported, exists, read_bytes, shown
from layers.model.module_types import WIDEST
from layers.model.modules import LIST, STATIC, Modules, Pooling, in_order, named
from layers.model.precision import Array

CONFIG = "config.json"
MODEL2VEC = "model2vec"
TABLES = ("embedding.weight", "embeddings")
"""The names that the table's tensor has in files of Sentence Transformers and of Model2Vec."""
MAPPING, WEIGHTS = "mapping", "weights"
"""Model2Vec's further tensors, where several tokens share a row: the row of each token, and the factor of each token."""
WHOLE_NUMBERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64")
MODEL2VEC_TOKENS = 512
"""The limit of Model2Vec's folders that say nothing, if Model2Vec itself loads them."""
LONGEST = 8192
"""The limit of a model that says nothing. The library has none, but tokens of a text without an end would fill the memory.

For this many tokens the handler reads up to 262,144 characters of a text (handler/embedding/truncation.py), in one second.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A static model's files, without their numbers.

    folder: the folder of the table and of the tokenizer.
    architecture: `model2vec` if the folder says that, else `static`.
    normalize: true if a Normalize module follows.
    limit: how many tokens a text may have.
    """

    folder: Path
    architecture: str
    normalize: bool
    limit: int

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the configuration files of a static model; no file of weights is read.

        Raises:
            Unsupported: a module after the table is not known, or a file has a value that this builder does not know.
        """
        if not exists(folder, LIST):
            return cls._alone(folder)
        (_, place), *others = in_order(folder)
        for kind, path in others:
            if kind not in AFTER:
                kinds = ", ".join(kind for kind, _ in (("StaticEmbedding", ""), *others))
                msg = f"modules.json has the modules {kinds}; after a StaticEmbedding this builder knows {', '.join(AFTER)}"
                raise Unsupported(msg)
            AFTER[kind].check(Configuration.read(folder, named(path), optional=True))
        config = Configuration.read(folder / place, CONFIG, optional=True)
        architecture = MODEL2VEC if config.get("model_type") == MODEL2VEC else "static"
        limit = _limit(folder / place)
        return cls(folder / place, architecture, any(kind == "Normalize" for kind, _ in others), limit or LONGEST)

    @classmethod
    def _alone(cls, folder: Path) -> Self:
        """Read a folder of Model2Vec without modules.json, as Model2Vec does."""
        config = Configuration.read(folder, CONFIG)
        known_fields.MODEL2VEC.check(config)
        limit = LONGEST if "max_length" in config.fields else MODEL2VEC_TOKENS
        if config.get("max_length") is not None:
            limit = config.number("max_length", int, least=1)
        return cls(folder, MODEL2VEC, config.flag("normalize"), limit)

    def shape(self) -> tuple[int, int]:
        """Return the number of tokens and the length of a row, which the file of weights names.

        Raises:
            Unsupported: the file is missing or damaged, or its tensors have shapes or types that this builder does not know.
        """
        about = weights.about(self.folder)
        name = next((name for name in TABLES if name in about), None)
        if name is None:
            msg = f"the checkpoint in {self.folder} has none of the tensors {' and '.join(TABLES)}, one of which is the table"
            raise Unsupported(msg)
        (shape, kind) = about[name]
        if len(shape) != len(("rows", "numbers")) or not 0 < shape[1] <= WIDEST or kind not in (*weights.TYPES, "I8"):
            raise self._refusal(name, shape, kind, f"a table of rows of up to {WIDEST:,} numbers")
        tokens, dimension = shape
        if name == TABLES[1] and MAPPING in about:
            shape, kind = about[MAPPING]
            if len(shape) != 1 or kind not in WHOLE_NUMBERS:
                raise self._refusal(MAPPING, shape, kind, "a whole number for each token")
            (tokens,) = shape
        if name == TABLES[1] and WEIGHTS in about:
            shape, kind = about[WEIGHTS]
            if shape != (tokens,) or kind not in weights.TYPES:
                raise self._refusal(WEIGHTS, shape, kind, f"a factor for each of {tokens} tokens")
        return tokens, dimension

    def rows(self, dimension: int) -> Array:
        """Return the first `dimension` numbers of the row of each token.

        Raises:
            Unsupported: for the same reasons as `shape`, or a number is not finite, or the mapping names a row that is not there.
        """
        self.shape()  # checks the tensors
        found = weights.stored(self.folder, (*TABLES, MAPPING, WEIGHTS))
        if TABLES[0] in found:
            return weights.narrowed(found[TABLES[0]][:, :dimension], TABLES[0])
        table = found[TABLES[1]][:, :dimension]
        if MAPPING in found:
            places = found[MAPPING].astype(np.int64)
            if places.min(initial=0) < 0 or places.max(initial=0) >= len(table):
                msg = f"the checkpoint in {self.folder} has the tensor {MAPPING} with rows that the table of {len(table)} has not"
                raise Unsupported(msg)
            table = table[places]
        if WEIGHTS in found:  # in the wider type of both, as the library does; the product is rounded once
            table = table.astype(np.promote_types(table.dtype, np.float32)) * found[WEIGHTS][:, np.newaxis]
        return weights.narrowed(table, TABLES[1])

    def modules(self, dimension: int) -> Modules:
        """Return the modules of the model, whose rows have `dimension` numbers."""
        return Modules("", (), Pooling(("mean",), dimension, include_prompt=True), (), self.normalize)

    def _refusal(self, name: str, shape: tuple[int, ...], kind: str, expected: str) -> Unsupported:
        msg = f"the checkpoint in {self.folder} has the tensor {name} as {kind} in shape {shown(shape)}; it must be {expected}"
        return Unsupported(msg)


AFTER = {"Normalize": known_fields.NORMALIZE_OF_TEXT, "Dropout": known_fields.DROPOUT}
"""The modules that may follow a StaticEmbedding, with the fields of their files. Another one would need a graph."""


def is_static(folder: Path) -> bool:
    """Return whether a folder's model is a table: its first module says so, or config.json if nothing lists the modules.

    Raises:
        Unsupported: modules.json is damaged or has an unknown module.
    """
    if exists(folder, LIST):
        return [kind for kind, _ in in_order(folder)[:1]] == [STATIC]
    return bool(Configuration.read(folder, CONFIG, optional=True).get("model_type") == MODEL2VEC)


def _limit(folder: Path) -> int | None:
    """Return the number of tokens to which tokenizer.json truncates a text; None if it does not, or is missing or damaged."""
    try:
        content = json.loads(read_bytes(folder, TOKENIZER, TOKENIZER_BYTES))
        limit = content["truncation"]["max_length"]
    except (Unsupported, ValueError, RecursionError, TypeError, KeyError):  # tokenizer.py refuses what is damaged
        return None
    return limit if isinstance(limit, int) and limit > 0 else None
