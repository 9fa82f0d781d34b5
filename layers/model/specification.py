"""Read and check the configuration files of a Sentence Transformers folder.

A model is served exactly or not at all: anything unknown that could change a vector is refused by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from layers.model import cross_encoders, known_fields, onnx_files
from layers.model.architectures import Shape
from layers.model.configuration import Configuration, Unsupported, exists, regular, shown
from layers.model.cross_encoders import KIND, CrossEncoder
from layers.model.module_types import WIDEST
from layers.model.modules import LIST, SETTINGS, Modules
from layers.model.onnx_files import OnnxFile
from layers.model.overrides import Overrides, changes
from layers.model.static import Table, is_static
from layers.model.transformer import SCORES, UNLIMITED, VECTORS, Transformer

FILES = Overrides()
"""No settings: the files decide."""
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


@dataclass(frozen=True, slots=True)
class Exported:
    """A model's own ONNX file, and why the encoder is not written from its weights; None if ONNX names the file."""

    path: Path
    reason: str | None


@dataclass(frozen=True, slots=True)
class Specification:
    """The description of a model, from its files and the user's settings.

    transformer: the folder of its tokenizer and weights.
    tokenizer: the configuration of the tokenizer.
    listed: true if modules.json lists the modules.
    dimension: the length of a text's vector, after truncation.
    task: the chosen one of `tasks`.
    overrides: the settings that differ from the files.
    cross_encoder: what a cross-encoder has in place of modules; None for a model of vectors.
    """

    folder: Path
    transformer: Path
    architecture: str
    network: Shape | Exported | Table
    vocabulary: int
    max_length: int
    tokenizer: Configuration
    tokenizer_class: str
    modules: Modules
    listed: bool
    dimension: int
    lowercase: bool
    prompts: dict[str, str]
    default_prompt_name: str | None
    similarity: str
    task: str | None
    tasks: tuple[str, ...]
    overrides: Mapping[str, Any]
    cross_encoder: CrossEncoder | None = None

    @property
    def has_types(self) -> bool:
        """True if the encoder reads the types of a pair's tokens."""
        typed = isinstance(self.network, Shape) and self.network.segments > 0
        return typed and self.cross_encoder is not None and self.cross_encoder.types

    @classmethod
    def read(cls, folder: Path, exported: OnnxFile | None = None, overrides: Overrides = FILES) -> Self:
        """Read the configuration files of `folder`; `exported` is the ONNX file to take instead of the weights.

        Raises:
            Unsupported: a file is missing, or has a value that this builder does not know.
        """
        if is_static(folder):
            return cls._static(folder, exported, overrides)
        listed = exists(folder, LIST)
        vectors = _vectors(folder, listed=listed)
        transformer, found = read_modules(folder)
        scores = CrossEncoder.read(transformer, vectors) if cross_encoders.recognizes(folder) else None
        if scores is not None:
            _check_score(exported, overrides)
        modules = overrides.modules(found)
        network = Shape.read(transformer.config) if scores else _network(transformer, exported)
        if isinstance(network, Shape) and network.hidden != modules.hidden:
            msg = f"the modules expect vectors of dimension {modules.hidden}, config.json says {network.hidden}"
            raise Unsupported(msg)
        if scores and scores.types and isinstance(network, Shape) and network.segments == 1:
            transformer.config.refuse("type_vocab_size", "the tokens of a pair have two types")
        prompts, default_prompt_name = _prompts(vectors)
        max_length = overrides.length(transformer.limit(), transformer.positions)
        if max_length is None:
            msg = "no configuration file says how many tokens a text may have: set MAX_LENGTH"
            raise Unsupported(msg)
        return cls(
            folder=folder,
            transformer=transformer.folder,
            architecture=transformer.model_type,
            network=network,
            vocabulary=transformer.vocabulary,
            max_length=max_length,
            tokenizer=transformer.tokenizer,
            tokenizer_class=transformer.tokenizer_class,
            modules=modules,
            listed=listed,
            dimension=1 if scores else min(_truncated(vectors), modules.dimension),
            lowercase=transformer.sentence.flag("do_lower_case"),
            prompts=prompts,
            default_prompt_name=default_prompt_name,
            similarity=vectors.get("similarity_fn_name") or "cosine",
            task=overrides.task,
            cross_encoder=scores,
            tasks=transformer.tasks(),
            overrides=changes(
                {"pooling": found.pooling.modes, "normalize": found.normalize, "max_length": transformer.limit(), "task": None},
                {
                    "pooling": modules.pooling.modes,
                    "normalize": modules.normalize,
                    "max_length": max_length,
                    "task": overrides.task,
                },
            ),
        )

    @classmethod
    def _static(cls, folder: Path, exported: OnnxFile | None, overrides: Overrides) -> Self:
        """Read the configuration files of a static model, and the shape of its table."""
        for name, value in {"ONNX": exported and exported.name, "TASK": overrides.task}.items():
            if value is not None:
                msg = f"{name} is {value}, but the model is a table of vectors: leave {name} out"
                raise Unsupported(msg)
        if overrides.pooling not in {None, "mean"}:
            msg = f"POOLING is {overrides.pooling}, but a StaticEmbedding gives the mean of the tokens' vectors alone"
            raise Unsupported(msg)
        table = Table.read(folder)
        vectors = _vectors(folder, listed=True)
        vocabulary, width = table.shape()
        found = table.modules(width)
        modules, max_length = overrides.modules(found), overrides.length(table.limit, UNLIMITED) or table.limit
        prompts, default_prompt_name = _prompts(vectors)
        return cls(
            folder=folder,
            transformer=table.folder,
            architecture=table.architecture,
            network=table,
            vocabulary=vocabulary,
            max_length=max_length,
            tokenizer=Configuration("tokenizer_config.json", {}),  # which the library does not read for this module
            tokenizer_class="",
            modules=modules,
            listed=True,
            dimension=min(_truncated(vectors), width),
            lowercase=False,
            prompts=prompts,
            default_prompt_name=default_prompt_name,
            similarity=vectors.get("similarity_fn_name") or "cosine",
            task=None,
            cross_encoder=None,
            tasks=(),
            overrides=changes(
                {"normalize": found.normalize, "max_length": table.limit},
                {"normalize": modules.normalize, "max_length": max_length},
            ),
        )


def read_modules(folder: Path) -> tuple[Transformer, Modules]:
    """Return the Transformer module of a folder, and all modules.

    Without modules.json, they are those that the library uses then. Like the library, this function then ignores
    sentence_bert_config.json.

    Raises:
        Unsupported: a file is missing, or has a value that this builder does not know.
    """
    if cross_encoders.recognizes(folder):
        listed = exists(folder, LIST)
        place = Modules.only_transformer(folder) if listed else ""
        transformer = Transformer.read(folder / place, listed=listed, task=SCORES if listed else VECTORS)
        return transformer, replace(Modules.without_list(transformer.hidden(), "cls"), transformer=place)
    if exists(folder, LIST):
        modules = Modules.read(folder)
        return Transformer.read(folder / modules.transformer), modules
    transformer = Transformer.read(folder, listed=False)
    return transformer, Modules.without_list(transformer.hidden(), transformer.default_pooling())


def is_written(transformer: Transformer, exported: OnnxFile | None) -> bool:
    """Return whether the encoder is written from its weights."""
    return exported is None and _refusal(transformer) is None


def _vectors(folder: Path, *, listed: bool) -> Configuration:
    vectors = Configuration.read(folder, SETTINGS, optional=True) if listed else Configuration(SETTINGS, {})
    kind = vectors.get("model_type")
    if kind == KIND:
        known_fields.CROSS_ENCODER_SETTINGS.check(vectors)
        return vectors
    if kind not in (None, "SentenceTransformer"):
        vectors.refuse("model_type", OTHER_KINDS.get(str(kind), "this builder knows SentenceTransformer"))
    known_fields.SENTENCE_TRANSFORMERS.check(vectors)
    vectors.check({"similarity_fn_name": (*SIMILARITIES, None)})
    return vectors


OTHER_KINDS: Mapping[str, str] = {
    "MultiVectorEncoder": "it gives a vector for each token, and a text has one here: take a SentenceTransformer of its family",
    "SparseEncoder": "it gives a weight for each word of its vocabulary: take a SentenceTransformer, whose vectors are dense",
}
"""Models of the library that are refused, with the reason and the remedy."""


def _check_score(exported: OnnxFile | None, overrides: Overrides) -> None:
    """Check that nothing is asked for that a cross-encoder does not have.

    Raises:
        Unsupported: something is; the sentence names it.
    """
    given = {"ONNX": exported, "POOLING": overrides.pooling, "NORMALIZE": overrides.normalize, "TASK": overrides.task}
    named = [name for name, value in given.items() if value is not None]
    if named:
        msg = (
            f"the model is a cross-encoder, which is written from its weights and gives one number: leave out {' and '.join(named)}"
        )
        raise Unsupported(msg)


def _network(transformer: Transformer, exported: OnnxFile | None) -> Shape | Exported:
    """Return the sizes of the encoder if it is written from its weights, or else the model's own ONNX file."""
    refusal = _refusal(transformer)
    if exported is None and refusal is None:
        return Shape.read(transformer.config)
    name = exported.name if exported else onnx_files.present(transformer.folder) or onnx_files.NAMES[0]
    folder = (exported and exported.folder) or transformer.folder
    if not exists(folder, name):
        reason = f"{refusal}; any other is built from its own ONNX file" if exported is None else "it was asked for"
        msg = f"{name} is missing in {folder}: {reason}"
        raise Unsupported(msg)
    if transformer.config_arguments.keys() - {"use_cache"}:
        msg = (
            f"{transformer.sentence.name} says config_args is {shown(transformer.config_arguments)}; "
            f"nobody knows whether {name} was made with that"
        )
        raise Unsupported(msg)
    return Exported(regular(folder, name), refusal if exported is None else None)


def _refusal(transformer: Transformer) -> str | None:
    """Return why this builder does not write the encoder; None if it does."""
    try:
        Shape.read(transformer.config)
    except Unsupported as refusal:
        return str(refusal)
    return None


def _truncated(vectors: Configuration) -> int:
    """Return how many numbers a vector keeps."""
    return vectors.number("truncate_dim", int, least=1, most=WIDEST) if vectors.get("truncate_dim") is not None else WIDEST


def _prompts(vectors: Configuration) -> tuple[dict[str, str], str | None]:
    """Return the prompts, and the name of the default one."""
    prompts, default = vectors.get("prompts") or {}, vectors.text("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        msg = f"{vectors.name} has prompts that are not texts by their names"
        raise Unsupported(msg)
    if default is not None and default not in prompts:
        vectors.refuse("default_prompt_name", f"its prompts are {', '.join(prompts) or 'none'}")
    return prompts, default
