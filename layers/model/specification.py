"""What a Sentence Transformers folder says its model is, read from its configuration files and checked.

Anything that would change a vector and is not understood is refused by name: a model is served exactly or not at all.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

MODULES = ("Transformer", "Pooling", "Normalize")
ARCHITECTURES = ("bert",)
ACTIVATIONS = ("gelu",)
POOLING_MODES = ("cls", "mean", "max")
POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The booleans of Sentence Transformers before 5.4, in the order in which their results are concatenated."""


class Unsupported(Exception):  # noqa: N818 - a statement about the model, not an error of ours
    """A model that cannot be built; the sentence says what in it and where."""


@dataclass(frozen=True, slots=True)
class Specification:
    """One sentence encoder. `hidden` is a token's dimension, `dimension` a text's."""

    architecture: str
    hidden: int
    heads: int
    layers: int
    intermediate: int
    vocabulary: int
    positions: int
    segments: int
    layer_norm_epsilon: float
    max_length: int
    pooling: tuple[str, ...]
    lowercase: bool
    prompts: dict[str, str]
    default_prompt_name: str | None
    similarity: str

    @property
    def dimension(self) -> int:
        """The length of a pooled vector."""
        return self.hidden * len(self.pooling)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the configuration files of `folder`.

        Raises:
            Unsupported: a file is missing or says something this builder does not do.
        """
        modules = _modules(folder)
        transformer = modules["Transformer"]
        config = _json(transformer / "config.json")
        _check_architecture(config)
        sentence = _json(transformer / "sentence_bert_config.json", optional=True)
        tokenizer = _json(transformer / "tokenizer_config.json", optional=True)
        prompts = _json(folder / "config_sentence_transformers.json", optional=True)
        return cls(
            architecture=config["model_type"],
            hidden=config["hidden_size"],
            heads=config["num_attention_heads"],
            layers=config["num_hidden_layers"],
            intermediate=config["intermediate_size"],
            vocabulary=config["vocab_size"],
            positions=config["max_position_embeddings"],
            segments=config["type_vocab_size"],
            layer_norm_epsilon=config["layer_norm_eps"],
            max_length=_max_length(config, sentence, tokenizer),
            pooling=_pooling(modules["Pooling"] / "config.json"),
            lowercase=bool(sentence.get("do_lower_case")),
            prompts=prompts.get("prompts") or {},
            default_prompt_name=prompts.get("default_prompt_name"),
            similarity=prompts.get("similarity_fn_name") or "cosine",
        )


def _modules(folder: Path) -> dict[str, Path]:
    """The folder of each module by the last segment of its type, which every generation of the library kept."""
    found: dict[str, Path] = {}
    for module in _json(folder / "modules.json"):
        kind = module["type"].rpartition(".")[2]
        if kind not in MODULES:
            msg = f"modules.json names the module {module['type']}; this builder knows {', '.join(MODULES)}"
            raise Unsupported(msg)
        place = (folder / module["path"]).resolve()
        if not place.is_relative_to(folder.resolve()):
            msg = f"modules.json puts the module {kind} outside the model's folder: {module['path']!r}"
            raise Unsupported(msg)
        found[kind] = place
    for kind in ("Transformer", "Pooling"):
        if kind not in found:
            msg = f"modules.json names no {kind} module"
            raise Unsupported(msg)
    return found


def _check_architecture(config: dict[str, Any]) -> None:
    expected = {
        "model_type": ARCHITECTURES,
        "hidden_act": ACTIVATIONS,
        "position_embedding_type": ("absolute", None),
        "is_decoder": (False, None),
        "auto_map": (None,),
    }
    for field, allowed in expected.items():
        value = config.get(field)
        if value not in allowed:
            known = ", ".join(str(choice) for choice in allowed if choice is not None) or "none"
            msg = f"config.json says {field} is {value!r}; this builder knows {known}"
            raise Unsupported(msg)


def _max_length(config: dict[str, Any], sentence: dict[str, Any], tokenizer: dict[str, Any]) -> int:
    positions: int = config["max_position_embeddings"]
    limit = sentence.get("max_seq_length") or tokenizer.get("model_max_length") or positions
    return min(int(limit), positions)  # a tokenizer without a limit says 1e30


def _pooling(path: Path) -> tuple[str, ...]:
    config = _json(path)
    if not config.get("include_prompt", True):
        msg = f"{path.parent.name}/config.json leaves the prompt out of the pool (include_prompt: false), which is not supported"
        raise Unsupported(msg)
    named = config.get("pooling_mode")  # Sentence Transformers 5.4 and later: a name or a list of them
    if named is None:
        named = [mode for flag, mode in POOLING_FLAGS.items() if config.get(flag)]
    modes = (named,) if isinstance(named, str) else tuple(named)
    unknown = [mode for mode in modes if mode not in POOLING_MODES]
    if unknown or not modes:
        msg = (
            f"{path.parent.name}/config.json asks for the pooling {', '.join(unknown) or 'of no mode'}; "
            f"this builder knows {', '.join(POOLING_MODES)}"
        )
        raise Unsupported(msg)
    return modes


def _json(path: Path, *, optional: bool = False) -> Any:  # noqa: ANN401 - as the file has it
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        if optional:
            return {}
        msg = f"{path.name} is missing in {path.parent}: not a Sentence Transformers folder"
        raise Unsupported(msg) from None
    except ValueError as error:
        msg = f"{path.name} in {path.parent} is not JSON: {error}"
        raise Unsupported(msg) from None
