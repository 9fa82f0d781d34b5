"""The types of modules before and after Pooling. Each type reads its config.json.

Before Pooling a module works on the tokens' vectors, after it on the text's vector.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from layers.model import known_fields
from layers.model.activations import DENSE, OVER_TEXTS
from layers.model.configuration import LARGEST, Configuration

TOKENS, TEXT = "token_embeddings", "sentence_embedding"
"""The library's names of the tokens' vectors and of the text's vector."""

WIDEST = 65_536
"""The most numbers that a vector may have before or after any module; the largest models have 8,192."""

type Tensors = dict[str, tuple[int, ...]]


class Module(Protocol):
    """A module before or after Pooling."""

    @property
    def folder(self) -> str:
        """The folder of its files."""
        ...

    @property
    def of_tokens(self) -> bool:
        """True if it works on the tokens' vectors. It then stands before Pooling."""
        ...

    @property
    def inputs(self) -> int | None:
        """The length of the vectors that it takes; None if it takes any."""
        ...

    @property
    def outputs(self) -> int | None:
        """The length of the vectors that it returns; None if that is the length it takes."""
        ...

    def tensors(self) -> Tensors:
        """Return the shapes of the tensors in its checkpoint, by their names."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer with an activation. With `residual`, its input is added to the result."""

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
            Unsupported: its activation or its input is unknown.
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
        """Return the layer's weight and bias, and the weight of the residual if its size must change."""
        tensors: Tensors = {"linear.weight": (self.outputs, self.inputs)}
        tensors |= {"linear.bias": (self.outputs,)} if self.bias else {}
        return tensors | ({"residual.weight": (self.outputs, self.inputs)} if self.projects_residual else {})

    @property
    def projects_residual(self) -> bool:
        """True if a matrix gives the input the size of the result before it is added."""
        return self.residual and self.inputs != self.outputs


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """A layer normalization (torch.nn.LayerNorm) of the text's vector."""

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
    """A normalization of vectors to length 1. The handler does the last one, because a request can decide about it."""

    folder: str
    of_tokens: bool
    inputs: ClassVar[int | None] = None
    outputs: ClassVar[int | None] = None

    @classmethod
    def read(cls, config: Configuration, folder: str) -> Self:
        """Read a Normalize module's config.json, which may be absent."""
        known_fields.NORMALIZE.check(config)
        return cls(folder, _of_tokens(config))

    def tensors(self) -> Tensors:
        """Return no tensors: the module has none."""
        return {}


@dataclass(frozen=True, slots=True)
class WordWeights:
    """A multiplication of each token's vector by the token's weight. A mean is then divided by the sum of the weights.

    The library takes the weights from the configuration, though the checkpoint has them too.
    """

    folder: str
    weights: tuple[float, ...]
    of_tokens: ClassVar[bool] = True
    inputs: ClassVar[int | None] = None
    outputs: ClassVar[int | None] = None

    @classmethod
    def read(cls, config: Configuration, folder: str) -> Self:
        """Read a WordWeights module's config.json. A token has the weight of the same word, or else of the word in lower case.

        Raises:
            Unsupported: it has no list of tokens, or a weight is not a number.
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
        """Return no tensors: the weights are in the configuration."""
        return {}


READERS: Mapping[str, Callable[[Configuration, str], Module]] = {
    "Dense": Dense.read,
    "LayerNorm": LayerNorm.read,
    "Normalize": Normalize.read,
    "WordWeights": WordWeights.read,
}
"""The one table of module types: the function that reads each. head.WRITERS has a writer for each of them, too."""
WITHOUT_WEIGHTS = ("Dropout", "Normalize")
"""Modules whose configuration file may be absent."""


def _of_tokens(config: Configuration) -> bool:
    """Return whether a module works on the tokens' vectors. Its result must replace its input."""
    taken = config.text("module_input_name") or TEXT
    config.check({"module_input_name": (TOKENS, TEXT, None), "module_output_name": (taken, None)})
    return taken == TOKENS
