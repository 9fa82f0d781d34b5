"""What a Sentence Transformers folder says its model is, read from its configuration files and checked.

Anything that would change a vector and is not understood is refused by name: a model is served exactly or not at all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from layers.model import known_fields
from layers.model.architectures import ARCHITECTURES, Shape
from layers.model.configuration import Configuration, Unsupported, exists, regular, shown
from layers.model.modules import WIDEST, Dense, Modules, Pooling
from layers.model.transformer import Transformer

CONFIGURATION_FILES = ("*.json", "README.md")
"""Patterns of what is fetched first, and tells which weights are needed."""
EXPORTED = "onnx/model.onnx"
"""Where Sentence Transformers and optimum put a model's own ONNX file."""
SAFETENSORS = ("*.safetensors",)
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


@dataclass(frozen=True, slots=True)
class Exported:
    """A model's own ONNX file, and why the encoder is not written from its weights; None if the file was asked for."""

    path: Path
    reason: str | None


@dataclass(frozen=True, slots=True)
class Specification:
    """One sentence encoder.

    `transformer` is the folder of its tokenizer and weights, `tokenizer` what the files say of the tokenizer. A text's vector has
    `dimension` numbers: the modules may give more, which are truncated.
    """

    folder: Path
    transformer: Path
    architecture: str
    network: Shape | Exported
    vocabulary: int
    max_length: int
    tokenizer: Configuration
    tokenizer_class: str
    pooling: Pooling
    dense: tuple[Dense, ...]
    dimension: int
    lowercase: bool
    prompts: dict[str, str]
    default_prompt_name: str | None
    similarity: str

    @classmethod
    def read(cls, folder: Path, exported: str | None = None) -> Self:
        """Read the configuration files of `folder`; `exported` names the ONNX file to take instead of the weights.

        Raises:
            Unsupported: a file is missing or says something this builder does not do.
        """
        modules = Modules.read(folder)
        transformer = Transformer.read(folder / modules.transformer)
        network = _network(transformer, exported)
        if isinstance(network, Shape) and network.hidden != modules.pooling.hidden:
            msg = f"the Pooling module expects vectors of dimension {modules.pooling.hidden}, config.json says {network.hidden}"
            raise Unsupported(msg)
        vectors = Configuration.read(folder, "config_sentence_transformers.json", optional=True)
        known_fields.SENTENCE_TRANSFORMERS.check(vectors)
        prompts, default_prompt_name = _prompts(vectors)
        vectors.check({"model_type": ("SentenceTransformer", None), "similarity_fn_name": (*SIMILARITIES, None)})
        return cls(
            folder=folder,
            transformer=transformer.folder,
            architecture=transformer.model_type,
            network=network,
            vocabulary=transformer.vocabulary,
            max_length=transformer.max_length(),
            tokenizer=transformer.tokenizer,
            tokenizer_class=transformer.tokenizer_class,
            pooling=modules.pooling,
            dense=modules.dense,
            dimension=min(_truncated(vectors), modules.dimension),
            lowercase=transformer.sentence.flag("do_lower_case"),
            prompts=prompts,
            default_prompt_name=default_prompt_name,
            similarity=vectors.get("similarity_fn_name") or "cosine",
        )


def weight_files(folder: Path, exported: str | None = None) -> tuple[str, ...]:
    """Return patterns of the weights that a folder's model is built from, told by its configuration files alone.

    So that no more than these is downloaded: the safetensors where this builder writes the graph, else the ONNX file.

    Raises:
        Unsupported: as Specification.read.
    """
    place = Modules.read(folder).transformer
    written = exported is None and _refusal(Transformer.read(folder / place)) is None
    file = f"{place}/{exported or EXPORTED}".lstrip("/")
    return SAFETENSORS if written else (file, f"{file}_data", f"{file}.data", "*_Dense/*.safetensors")


def pickled_files(folder: Path, exported: str | None = None) -> tuple[str, ...]:
    """Return patterns of the pickles to fetch, once the files of weight_files are there: where there are no safetensors among them.

    Raises:
        Unsupported: as Specification.read.
    """
    modules = Modules.read(folder)
    places = [dense.folder for dense in modules.dense]
    if weight_files(folder, exported) == SAFETENSORS:
        places.append(modules.transformer)
    return tuple(f"{place}/pytorch_model*.bin".lstrip("/") for place in places if not any((folder / place).glob(SAFETENSORS[0])))


def _network(transformer: Transformer, exported: str | None) -> Shape | Exported:
    """Return the encoder as this builder writes it, or else the model's own ONNX file."""
    refusal = _refusal(transformer)
    if exported is None and refusal is None:
        return Shape.read(transformer.config)
    name = exported or EXPORTED
    if not exists(transformer.folder, name):
        reason = f"{refusal}; any other is built from its own ONNX file" if exported is None else "it was asked for"
        msg = f"{name} is missing in {transformer.folder}: {reason}"
        raise Unsupported(msg)
    if transformer.config_arguments.keys() - {"use_cache"}:
        msg = (
            f"{transformer.sentence.name} says config_args is {shown(transformer.config_arguments)}; "
            f"nobody knows whether {name} was made with that"
        )
        raise Unsupported(msg)
    return Exported(regular(transformer.folder, name), refusal if exported is None else None)


def _refusal(transformer: Transformer) -> str | None:
    """Return why this builder does not write the encoder; None if it does."""
    try:
        transformer.config.check({"model_type": tuple(ARCHITECTURES)})
        Shape.read(transformer.config)
    except Unsupported as refusal:
        return str(refusal)
    return None


def _truncated(vectors: Configuration) -> int:
    """Return how many of a vector's first numbers are kept."""
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
