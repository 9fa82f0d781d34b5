"""The modules around pooling, each as its config.json describes it: what it takes, what it gives, and which tensors it has.

A step works on the tokens' vectors before Pooling, or on the text's vector after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from layers.model import known_fields
from layers.model.activations import DENSE, OVER_TEXTS
from layers.model.configuration import LARGEST, Configuration

TOKENS, TEXT = "token_embeddings", "sentence_embedding"
"""What the library calls the vectors of the tokens and the vector of the text."""

WIDEST = 65_536
"""The most numbers that a vector may have before or after any module; the largest models have 8,192."""

type Tensors = dict[str, tuple[int, ...]]


class Step(Protocol):
    """A module other than Transformer and Pooling. `of_tokens` says that it works on the tokens' vectors."""

    @property
    def folder(self) -> str:
        """The folder of its files."""
        ...

    @property
    def of_tokens(self) -> bool:
        """Whether it works on the tokens' vectors, and so stands before Pooling."""
        ...

    @property
    def inputs(self) -> int | None:
        """How many numbers a vector must have; None where it takes any."""
        ...

    @property
    def outputs(self) -> int | None:
        """How many numbers it gives; None where it gives as many as it takes."""
        ...

    def tensors(self) -> Tensors:
        """Return the tensors of its checkpoint, and their shapes."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer and an activation after it, to which the layer's input may be added."""

    folder: str
    inputs: int
    outputs: int
    bias: bool
    activation: str
    residual: bool
    of_tokens: bool

    @classmethod
    def read(cls, config: Configuration, folder: str) -> Self:
        """Read a Dense module's config.json.

        Raises:
            Unsupported: it has an activation that nobody knows, or takes what no module gives.
        """
        known_fields.DENSE.check(config)
        of_tokens = _of_tokens(config)
        name = config.text("activation_function") or "torch.nn.Tanh"
        activation = name.rpartition(".")[2]
        if not name.startswith("torch.nn.") or activation not in DENSE:
            config.refuse("activation_function", f"this builder knows torch.nn's {', '.join(DENSE)}")
        if of_tokens and activation in OVER_TEXTS:
            config.refuse(
                "activation_function", "of tokens torch computes it over the texts of a batch: a text alone has no vector"
            )
        inputs, outputs = (config.number(field, int, least=1, most=WIDEST) for field in ("in_features", "out_features"))
        bias, residual = config.flag("bias", default=True), config.flag("use_residual")
        return cls(folder, inputs, outputs, bias, activation, residual, of_tokens)

    def tensors(self) -> Tensors:
        """Return the layer's weight and bias, and the residual's weight where the layer gives another size than it takes."""
        tensors: Tensors = {"linear.weight": (self.outputs, self.inputs)}
        tensors |= {"linear.bias": (self.outputs,)} if self.bias else {}
        return tensors | ({"residual.weight": (self.outputs, self.inputs)} if self.projects_residual else {})

    @property
    def projects_residual(self) -> bool:
        """Whether what is added is the input made of the output's size."""
        return self.residual and self.inputs != self.outputs


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """torch.nn.LayerNorm of the text's vector."""

    folder: str
    inputs: int
    of_tokens: ClassVar[bool] = False
    outputs: ClassVar[int | None] = None

    @classmethod
    def read(cls, config: Configuration, folder: str) -> Self:
        """Read a LayerNorm module's config.json."""
        known_fields.LAYER_NORM.check(config)
        return cls(folder, config.number("dimension", int, least=1, most=WIDEST))

    def tensors(self) -> Tensors:
        """Return the norm's weight and bias."""
        return {"norm.weight": (self.inputs,), "norm.bias": (self.inputs,)}


@dataclass(frozen=True, slots=True)
class Normalize:
    """Brings vectors to the length 1. The last one of a text's vector is left to the handler, which does it as a request says."""

    folder: str
    of_tokens: bool
    inputs: ClassVar[int | None] = None
    outputs: ClassVar[int | None] = None

    @classmethod
    def read(cls, config: Configuration, folder: str) -> Self:
        """Read a Normalize module's config.json, which need not be there."""
        known_fields.NORMALIZE.check(config)
        return cls(folder, _of_tokens(config))

    def tensors(self) -> Tensors:
        """Return none."""
        return {}


@dataclass(frozen=True, slots=True)
class WordWeights:
    """Each token's vector times the token's weight; a mean over them is divided by the sum of the weights.

    Its checkpoint has the weights too, but the library makes them of the configuration.
    """

    folder: str
    weights: tuple[float, ...]
    of_tokens: ClassVar[bool] = True
    inputs: ClassVar[int | None] = None
    outputs: ClassVar[int | None] = None

    @classmethod
    def read(cls, config: Configuration, folder: str) -> Self:
        """Read a WordWeights module's config.json: a token has the weight of its word, in lower case if need be.

        Raises:
            Unsupported: it has no list of tokens, or a weight is no number.
        """
        known_fields.WORD_WEIGHTS.check(config)
        tokens, words = config.get("vocab"), config.get("word_weights")
        if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
            config.refuse("vocab", "it must be a list of the tokenizer's tokens")
        if not isinstance(words, dict):
            config.refuse("word_weights", "it must map words to numbers")
        known = Configuration(f"{config.name}'s word_weights", words)
        unknown = config.number("unknown_word_weight", float, 1.0, least=-LARGEST)
        named = (next((name for name in (token, token.lower()) if name in words), None) for token in tokens)
        return cls(folder, tuple(unknown if name is None else known.number(name, float, least=-LARGEST) for name in named))

    def tensors(self) -> Tensors:
        """Return none: they are in the configuration."""
        return {}


READERS: Mapping[str, Callable[[Configuration, str], Step]] = {
    "Dense": Dense.read,
    "LayerNorm": LayerNorm.read,
    "Normalize": Normalize.read,
    "WordWeights": WordWeights.read,
}
"""By the module's name."""
WITHOUT_WEIGHTS = ("Dropout", "Normalize")
"""Modules whose configuration file need not be there."""


def _of_tokens(config: Configuration) -> bool:
    """Return whether a module works on the tokens' vectors; it must put its result where it took its input."""
    taken = config.text("module_input_name") or TEXT
    config.check({"module_input_name": (TOKENS, TEXT, None), "module_output_name": (taken, None)})
    return taken == TOKENS
