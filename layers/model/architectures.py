"""The families of encoders that the builder writes from their weights.

All families are one network (encoder.py): embeddings, then layers of attention and feed-forward blocks, each followed by a
normalization. A row of ARCHITECTURES says how a family names its tensors, and where it differs from BERT.
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
"""The smallest and the largest allowed value of each size. The upper limits are far above those of the largest known models."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One family. Names of tensors lack `.weight` and `.bias`. Names of a layer's tensors lack the name of the layer."""

    prefix: str
    """The prefix of the encoder's tensors in checkpoints that were saved from a model with a head."""
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
    """True if there is a table of token types."""
    positions_after_padding: bool = False
    """True if positions start at the padding token's id + 1, and a padding token in a text has no position of its own."""
    relative_positions: str | None = None
    """The name of the table that has, for each distance between two tokens, what is added to their attention; None without one."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """The family's names for fields of config.json, by BERT's names, where these differ."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Values that the family's code sets, so that config.json does not have them."""

    def reads(self) -> tuple[str, ...]:
        """Return the fields of config.json that the family reads in addition to known_fields.ENCODER, by BERT's names."""
        fields = ["hidden_act", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size"]
        fields += ["type_vocab_size"] if self.segments else []
        fields += ["relative_attention_num_buckets"] if self.relative_positions else []
        return (*fields, *({"layer_norm_eps"} - self.fixed.keys()))

    @property
    def norm(self) -> str:
        """The name of the embeddings' normalization, which is the same in all families."""
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
"""The one table of families, by the model_type of config.json."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one encoder, read from its config.json."""

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
            Unsupported: a field is missing, or has a value that this builder cannot write.
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
        """The largest number of tokens that have positions."""
        return self.positions - (self.padding + 1 if self.architecture.positions_after_padding else 0)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tensors that the graph is written from, by their names in the checkpoint."""
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
