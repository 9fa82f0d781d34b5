"""What a Sentence Transformers folder says its model is, read from its configuration files and checked.

Anything that would change a vector and is not understood is refused by name: a model is served exactly or not at all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from layers.model.architectures import ARCHITECTURES, LIMITS, Shape
from layers.model.configuration import Configuration, Unsupported, exists, regular
from layers.model.modules import Dense, Modules, Pooling

CONFIGURATION_FILES = ("*.json", "README.md")
"""Patterns of what is fetched first, and tells which weights are needed."""
EXPORTED = "onnx/model.onnx"
"""Where Sentence Transformers and optimum put a model's own ONNX file."""
SENTENCE_CONFIGS = tuple(
    f"sentence_{name}_config.json" for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""The Transformer module's file has had a name for each family; all of them are still read."""
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


@dataclass(frozen=True, slots=True)
class Exported:
    """A model's own ONNX file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Specification:
    """One sentence encoder. `transformer` is the folder of its tokenizer and weights, `dimension` the length of a text's vector."""

    folder: Path
    transformer: Path
    architecture: str
    network: Shape | Exported
    vocabulary: int
    max_length: int
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
        transformer = folder / modules.transformer
        config = Configuration.read(transformer, "config.json")
        sentence = _sentence_config(transformer)
        network = _network(transformer, config, exported)
        if isinstance(network, Shape) and network.hidden != modules.pooling.hidden:
            msg = f"the Pooling module expects vectors of dimension {modules.pooling.hidden}, config.json says {network.hidden}"
            raise Unsupported(msg)
        prompts, default_prompt_name, similarity = _sentence_transformers(folder)
        return cls(
            folder=folder,
            transformer=transformer,
            architecture=config.text("model_type") or "unknown",
            network=network,
            vocabulary=_size(config, "vocab_size"),
            max_length=_max_length(config, sentence, Configuration.read(transformer, "tokenizer_config.json", optional=True)),
            pooling=modules.pooling,
            dense=modules.dense,
            dimension=modules.dimension,
            lowercase=sentence.flag("do_lower_case"),
            prompts=prompts,
            default_prompt_name=default_prompt_name,
            similarity=similarity,
        )


def weight_files(folder: Path, exported: str | None = None) -> tuple[str, ...]:
    """Patterns of the weights that a folder's model is built from, told by its configuration files alone.

    So that no more than these is downloaded: the safetensors where this builder writes the graph, else the ONNX file.

    Raises:
        Unsupported: as Specification.read.
    """
    place = Modules.read(folder).transformer
    config = Configuration.read(folder / place, "config.json")
    written = exported is None and _refusal(config) is None
    file = f"{place}/{exported or EXPORTED}".lstrip("/")
    return ("*.safetensors",) if written else (file, f"{file}_data", f"{file}.data", "*_Dense/*.safetensors")


def _network(transformer: Path, config: Configuration, exported: str | None) -> Shape | Exported:
    """The encoder as this builder writes it, or else the model's own ONNX file."""
    refusal = _refusal(config)
    if exported is None and refusal is None:
        return Shape.read(config)
    if not exists(transformer, exported or EXPORTED):
        reason = f"{refusal}; any other is built from its own ONNX file" if exported is None else "it was asked for"
        msg = f"{exported or EXPORTED} is missing in {transformer}: {reason}"
        raise Unsupported(msg)
    return Exported(regular(transformer, exported or EXPORTED))


def _refusal(config: Configuration) -> str | None:
    """Why this builder does not write the encoder; None if it does."""
    try:
        config.check({"model_type": tuple(ARCHITECTURES)})
        Shape.read(config)
    except Unsupported as refusal:
        return str(refusal)
    return None


def _sentence_config(transformer: Path) -> Configuration:
    present = [name for name in SENTENCE_CONFIGS if exists(transformer, name)]
    config = Configuration.read(transformer, (present or SENTENCE_CONFIGS)[0], optional=True)
    config.check({"transformer_task": ("feature-extraction", None), "module_output_name": ("token_embeddings", None)})
    modalities = config.get("modality_config")
    expected = {"method": "forward", "method_output_name": "last_hidden_state"}
    if modalities is not None and (not isinstance(modalities, dict) or modalities.get("text") != expected):
        config.refuse("modality_config", "this builder knows text through forward's last_hidden_state")
    if config.get("processing_kwargs"):
        config.refuse("processing_kwargs", "this builder knows none")
    return config


def _max_length(config: Configuration, sentence: Configuration, tokenizer: Configuration) -> int:
    """The first limit that is given, and never beyond the positions there are."""
    architecture = ARCHITECTURES.get(str(config.get("model_type")))
    offset = _size(config, "pad_token_id") + 1 if architecture and architecture.positions_after_padding else 0
    least, most = LIMITS["max_position_embeddings"]
    positions = config.number("max_position_embeddings", int, UNLIMITED, least=least, most=max(most, UNLIMITED)) - offset
    sources = ((sentence, "max_seq_length"), (tokenizer, "model_max_length"))
    given = [source.number(field, float, least=1) for source, field in sources if source.get(field) is not None]
    limit = int(min([*given[:1], positions]))  # a tokenizer without a limit says 1e30
    if not 0 < limit < UNLIMITED:
        msg = f"no configuration file says how many tokens a text may have (or one says {limit})"
        raise Unsupported(msg)
    return limit


UNLIMITED = 10**9


def _size(config: Configuration, field: str) -> int:
    least, most = LIMITS[field]
    return config.number(field, int, least=least, most=most)


def _sentence_transformers(folder: Path) -> tuple[dict[str, str], str | None, str]:
    """Prompts, the name of the default one, and the similarity function."""
    config = Configuration.read(folder, "config_sentence_transformers.json", optional=True)
    config.check({"model_type": ("SentenceTransformer", None), "similarity_fn_name": (*SIMILARITIES, None)})
    prompts, default = config.get("prompts") or {}, config.text("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        msg = f"{config.name} has prompts that are not texts by their names"
        raise Unsupported(msg)
    if default is not None and default not in prompts:
        config.refuse("default_prompt_name", f"its prompts are {', '.join(prompts) or 'none'}")
    return prompts, default, config.get("similarity_fn_name") or "cosine"
