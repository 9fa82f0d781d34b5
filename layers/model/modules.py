"""modules.json: the modules that a Sentence Transformers model passes a text through, and what each says it does.

Both generations of the library are read: types are known by their last segment, which every generation kept.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from layers.model import known_fields
from layers.model.configuration import Configuration, Unsupported, inside, read_json, shown

LIBRARY = "sentence_transformers"
KNOWN = ("Transformer", "Pooling", "Dense", "Dropout", "Normalize")
"""In the order in which they must stand; Dense and Dropout may stand several times, and Normalize need not stand at all."""

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The booleans of Sentence Transformers before 5.4, in the order in which their results are concatenated."""

MOST_MODULES = 100
WIDEST = 65_536
"""The most numbers that a vector may have before or after any module; the largest models have 8,192."""

ACTIVATIONS = ("Identity", "Tanh", "ReLU", "Sigmoid", "GELU")
"""Of torch.nn, each without parameters."""


@dataclass(frozen=True, slots=True)
class Pooling:
    """Token vectors to one: the results of `modes` side by side. `hidden` is a token's dimension."""

    modes: tuple[str, ...]
    hidden: int
    include_prompt: bool

    @classmethod
    def read(cls, config: Configuration) -> Self:
        """Read a Pooling module's config.json.

        Raises:
            Unsupported: it asks for a mode that nobody knows.
        """
        known_fields.POOLING.check(config)
        named = config.get("pooling_mode")  # Sentence Transformers 5.4 and later: a name or a list of them
        flagged = [mode for flag, mode in POOLING_FLAGS.items() if config.flag(flag)] or ["mean"]
        modes = flagged if named is None else [named] if isinstance(named, str) else named
        if not isinstance(modes, list) or not 0 < len(modes) <= len(POOLING_MODES) or any(m not in POOLING_MODES for m in modes):
            config.refuse("pooling_mode", f"this builder knows {', '.join(POOLING_MODES)} and lists of them")
        field = "embedding_dimension" if config.get("embedding_dimension") else "word_embedding_dimension"
        hidden = config.number(field, int, least=1, most=WIDEST)
        return cls(tuple(modes), hidden, config.flag("include_prompt", default=True))

    @property
    def dimension(self) -> int:
        """The length of a pooled vector."""
        return self.hidden * len(self.modes)


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer and an activation after it. Its weights are in `folder`."""

    folder: str
    inputs: int
    outputs: int
    bias: bool
    activation: str

    @classmethod
    def read(cls, config: Configuration, folder: str) -> Self:
        """Read a Dense module's config.json.

        Raises:
            Unsupported: it does more than a layer and an activation on the text's vector.
        """
        known_fields.DENSE.check(config)
        vector = ("sentence_embedding", None)
        config.check({"module_input_name": vector, "module_output_name": vector, "use_residual": (False, None)})
        name = config.text("activation_function") or "torch.nn.Tanh"
        activation = name.rpartition(".")[2]
        if not name.startswith("torch.nn.") or activation not in ACTIVATIONS:
            config.refuse("activation_function", f"this builder knows torch.nn's {', '.join(ACTIVATIONS)}")
        inputs, outputs = (config.number(field, int, least=1, most=WIDEST) for field in ("in_features", "out_features"))
        return cls(folder, inputs, outputs, config.flag("bias", default=True), activation)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The tensors of its checkpoint, and their shapes."""
        tensors: dict[str, tuple[int, ...]] = {"linear.weight": (self.outputs, self.inputs)}
        return tensors | ({"linear.bias": (self.outputs,)} if self.bias else {})


@dataclass(frozen=True, slots=True)
class Modules:
    """The way from a text to its vector before any normalisation. `transformer` is a folder's path in the model's."""

    transformer: str
    pooling: Pooling
    dense: tuple[Dense, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read modules.json and the configuration of each module after the first.

        Raises:
            Unsupported: a module is unknown, custom or out of order; the sentence names it.
        """
        steps = [_step(folder, module) for module in _list(folder)]
        for kind, place in steps:
            if kind in WITHOUT_WEIGHTS:
                WITHOUT_WEIGHTS[kind].check(Configuration.read(folder, _named(place), optional=True))
        steps = [(kind, place) for kind, place in steps if kind != "Dropout"]
        kinds = [kind for kind, _ in steps]
        dense = kinds.count("Dense")
        if kinds not in (
            ["Transformer", "Pooling", *["Dense"] * dense],
            ["Transformer", "Pooling", *["Dense"] * dense, "Normalize"],
        ):
            msg = f"modules.json has the modules {', '.join(kinds) or 'none'}; this builder knows {', '.join(KNOWN)}, in this order"
            raise Unsupported(msg)
        (_, transformer), (_, pooling), *rest = steps
        modules = cls(
            transformer,
            Pooling.read(Configuration.read(folder, _named(pooling))),
            tuple(Dense.read(Configuration.read(folder, _named(place)), place) for kind, place in rest if kind == "Dense"),
        )
        modules.check_dimensions()
        return modules

    def check_dimensions(self) -> None:
        """Each module must take what the one before it gives.

        Raises:
            Unsupported: one does not.
        """
        given = self.pooling.dimension
        for dense in self.dense:
            if dense.inputs != given:
                msg = f"{_named(dense.folder)} says in_features is {dense.inputs}, but the module before it gives {given}"
                raise Unsupported(msg)
            given = dense.outputs

    @property
    def dimension(self) -> int:
        """The length of a text's vector."""
        return self.dense[-1].outputs if self.dense else self.pooling.dimension


WITHOUT_WEIGHTS = {"Dropout": known_fields.DROPOUT, "Normalize": known_fields.NORMALIZE}
"""Modules that nothing is read of; their configuration file need not be there."""


def _list(folder: Path) -> list[dict[str, Any]]:
    modules = read_json(folder, "modules.json")
    if not isinstance(modules, list) or not all(
        isinstance(module, dict) and isinstance(module.get("type"), str) and isinstance(module.get("path"), str)
        for module in modules
    ):
        msg = f"modules.json in {folder} is not a list of modules with a type and a path"
        raise Unsupported(msg)
    if len(modules) > MOST_MODULES:
        msg = f"modules.json in {folder} lists {len(modules)} modules; this builder takes at most {MOST_MODULES}"
        raise Unsupported(msg)
    return modules


def _step(folder: Path, module: dict[str, Any]) -> tuple[str, str]:
    known_fields.MODULES.check(Configuration("modules.json", module))
    library, _, kind = module["type"].rpartition(".")
    if kind not in KNOWN or library.partition(".")[0] != LIBRARY:
        msg = f"modules.json names the module {shown(module['type'])}; this builder knows {LIBRARY}'s {', '.join(KNOWN)}"
        raise Unsupported(msg)
    inside(folder, module["path"])
    return kind, module["path"]


def _named(folder: str) -> str:
    return f"{folder}/config.json"
