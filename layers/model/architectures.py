"""The encoders written from their weights: how each family names its tensors, and where it computes otherwise than BERT.

All of them are one network (layers/model/encoder.py): embeddings, then layers of attention and a feed-forward block with the
normalisation after each. A family is a row of ARCHITECTURES.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from layers.model import known_fields
from layers.model.activations import ENCODERS
from layers.model.configuration import Configuration

LIMITS: Mapping[str, tuple[int, int]] = {
    "hidden_size": (1, 65_536),
    "num_attention_heads": (1, 4_096),
    "num_hidden_layers": (1, 1_000),
    "intermediate_size": (1, 1_000_000),
    "vocab_size": (1, 10_000_000),
    "max_position_embeddings": (1, 10_000_000),
    "type_vocab_size": (1, 65_536),
    "relative_attention_num_buckets": (4, 65_536),
    "pad_token_id": (0, 10_000_000),
}
"""The least and the most that each size of an encoder may be; well beyond the largest models there are."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One family. Tensor names are without `.weight` and `.bias`, and those of a layer start at the layer."""

    prefix: str
    """Under which checkpoints saved from a model with a head carry their encoder."""
    layer: str = "encoder.layer.{}"
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    attended: str = "attention.output.LayerNorm"
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    result: str = "output.LayerNorm"
    segments: bool = True
    """Whether there is a table of token types."""
    positions_after_padding: bool = False
    """Positions count from the padding token's id + 1, and a padding token written in a text does not count."""
    relative_positions: str | None = None
    """The table of what a distance between two tokens adds to their attention, if there is one."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What config.json calls a field, where not as BERT's does."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Fields that the family's code fixes instead of its config.json."""

    def reads(self) -> tuple[str, ...]:
        """Return the fields of config.json that the family has beside those of all, as BERT calls them."""
        fields = ["hidden_act", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size"]
        fields += ["type_vocab_size"] if self.segments else []
        fields += ["relative_attention_num_buckets"] if self.relative_positions else []
        return (*fields, *({"layer_norm_eps"} - self.fixed.keys()))

    @property
    def norm(self) -> str:
        """The normalisation of the embeddings, which all families call the same."""
        return "embeddings.LayerNorm"


BERT = Architecture(prefix="bert.")
ROBERTA = replace(BERT, prefix="roberta.", positions_after_padding=True)
MPNET = replace(
    ROBERTA,
    prefix="mpnet.",
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    output="attention.attn.o",
    attended="attention.LayerNorm",
    segments=False,
    relative_positions="encoder.relative_attention_bias",
)
DISTILBERT = Architecture(
    prefix="distilbert.",
    layer="transformer.layer.{}",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    attended="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    result="output_layer_norm",
    segments=False,
    fields={
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
    },
    fixed={"layer_norm_eps": 1e-12},
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "mpnet": MPNET,
    "distilbert": DISTILBERT,
}
"""By config.json's model_type."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One encoder's sizes, as its config.json gives them."""

    architecture: Architecture
    hidden: int
    heads: int
    layers: int
    intermediate: int
    vocabulary: int
    positions: int
    segments: int
    distances: int
    padding: int
    layer_norm_epsilon: float
    activation: str

    @classmethod
    def read(cls, config: Configuration) -> Self:
        """Read config.json of a family in ARCHITECTURES.

        Raises:
            Unsupported: it asks for what this builder does not write, or lacks a field.
        """
        architecture = ARCHITECTURES[config.get("model_type")]
        names = architecture.fields
        activation = names.get("hidden_act", "hidden_act")
        own = tuple(names.get(name, name) for name in architecture.reads())
        replace(known_fields.ENCODER, used=known_fields.ENCODER.used + own).check(config)
        config.check(
            {
                activation: tuple(ENCODERS),
                "position_embedding_type": ("absolute", None),
                "is_decoder": (False, None),
                "auto_map": (None,),
            }
        )

        def number(name: str) -> int:
            least, most = LIMITS[name]
            return config.number(names.get(name, name), int, least=least, most=most)

        shape = cls(
            architecture=architecture,
            hidden=number("hidden_size"),
            heads=number("num_attention_heads"),
            layers=number("num_hidden_layers"),
            intermediate=number("intermediate_size"),
            vocabulary=number("vocab_size"),
            positions=number("max_position_embeddings"),
            segments=number("type_vocab_size") if architecture.segments else 0,
            distances=number("relative_attention_num_buckets") if architecture.relative_positions else 0,
            padding=number("pad_token_id") if architecture.positions_after_padding else 0,
            layer_norm_epsilon=architecture.fixed.get("layer_norm_eps") or config.number("layer_norm_eps", float, least=0, most=1),
            activation=config.get(activation),
        )
        if shape.hidden % shape.heads:
            field = names.get("num_attention_heads", "num_attention_heads")
            config.refuse(field, f"it must divide {names.get('hidden_size', 'hidden_size')}, which is {shape.hidden}")
        if shape.longest < 1:
            config.refuse("max_position_embeddings", f"none is left after pad_token_id, which is {shape.padding}")
        return shape

    @property
    def longest(self) -> int:
        """The most tokens that there are positions for."""
        return self.positions - (self.padding + 1 if self.architecture.positions_after_padding else 0)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The checkpoint's tensors that the graph is written from, and their shapes."""
        architecture, hidden = self.architecture, self.hidden
        tensors: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocabulary, hidden),
            "embeddings.position_embeddings.weight": (self.positions, hidden),
        }
        if architecture.segments:
            tensors["embeddings.token_type_embeddings.weight"] = (self.segments, hidden)
        if architecture.relative_positions:
            tensors[f"{architecture.relative_positions}.weight"] = (self.distances, self.heads)
        linears: dict[str, tuple[int, int]] = {}
        norms = [architecture.norm]
        for index in range(self.layers):
            layer = architecture.layer.format(index)
            square = (architecture.query, architecture.key, architecture.value, architecture.output)
            linears |= {f"{layer}.{name}": (hidden, hidden) for name in square}
            linears[f"{layer}.{architecture.inner}"] = (self.intermediate, hidden)
            linears[f"{layer}.{architecture.outer}"] = (hidden, self.intermediate)
            norms += [f"{layer}.{architecture.attended}", f"{layer}.{architecture.result}"]
        for name, (outputs, inputs) in linears.items():
            tensors |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
        for name in norms:
            tensors |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
        return tensors
