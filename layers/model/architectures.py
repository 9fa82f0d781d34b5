"""The table of the families of encoders that the builder writes from their weights, and the sizes of one encoder.

A row of ARCHITECTURES says how a family names its tensors, and where it differs from BERT (families/traits.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

from layers.model.configuration import Configuration
from layers.model.families.bert import BERT, DISTILBERT, ELECTRA, MPNET, ROBERTA
from layers.model.families.decoders import EUROBERT, QWEN2, QWEN3
from layers.model.families.gemma import GEMMA3
from layers.model.families.gte import GTE, NEW, NEW_SEPARATE, has_separate_projections
from layers.model.families.jina import JINA, JINA_WITH_PROJECTION_NORMS, has_alibi, has_projection_norms
from layers.model.families.modernbert import MODERNBERT
from layers.model.families.nomic import NOMIC, NOMIC_OF_OWN_CODE
from layers.model.families.spans import Span
from layers.model.families.traits import Architecture, Biases

LIMITS: Mapping[str, tuple[int, int]] = {
    "hidden_size": (1, 65_536),
    "embedding_size": (1, 65_536),
    "num_attention_heads": (1, 4_096),
    "num_key_value_heads": (1, 4_096),
    "head_dim": (1, 65_536),
    "num_hidden_layers": (1, 1_000),
    "intermediate_size": (1, 1_000_000),
    "vocab_size": (1, 10_000_000),
    "max_position_embeddings": (1, 10_000_000),
    "type_vocab_size": (1, 65_536),
    "relative_attention_num_buckets": (4, 65_536),
    "pad_token_id": (0, 10_000_000),
}
"""The smallest and the largest allowed value of each size. The upper limits are far above those of the largest known models."""

ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "mpnet": MPNET,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "nomic_bert": NOMIC,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "modernbert": MODERNBERT,
    "new": NEW,
    "gte": GTE,
    "gemma3_text": GEMMA3,
    "eurobert": EUROBERT,
}
"""The one table of families, by the model_type of config.json."""

VARIANTS: Mapping[str, Sequence[tuple[Callable[[Configuration], bool], Architecture]]] = {
    "bert": [(has_projection_norms, JINA_WITH_PROJECTION_NORMS), (has_alibi, JINA)],
    "nomic_bert": [(lambda config: config.get("n_embd") is not None, NOMIC_OF_OWN_CODE)],
    "new": [(has_separate_projections, NEW_SEPARATE)],
}
"""Rows that other config.json of the same model_type have, and how they are recognised. The first that is recognised counts."""


def find(config: Configuration) -> Architecture | None:
    """Return the row of a config.json; None if the family is not in the table."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        return None
    return next((row for recognises, row in VARIANTS.get(kind, []) if recognises(config)), ARCHITECTURES[kind])


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one encoder, read from its config.json.

    embedding: the length of a token's embedding.
    width: the width of a head.
    scale: the factor of scores; None for 1 / the square root of the width.
    spans: what each layer's attention sees.
    """

    architecture: Architecture
    hidden: int
    embedding: int
    heads: int
    key_value_heads: int
    width: int
    intermediate: int
    vocabulary: int
    positions: int
    segments: int
    distances: int
    padding: int
    epsilon: float
    activation: str
    biases: Biases[bool]
    causal: bool
    scale: float | None
    spans: tuple[Span, ...]

    @classmethod
    def read(cls, config: Configuration) -> Self:
        """Read config.json of a family in ARCHITECTURES.

        Raises:
            Unsupported: a field is missing, or has a value that this builder cannot write.
        """
        architecture = find(config)
        if architecture is None:
            config.refuse("model_type", f"this builder knows {', '.join(ARCHITECTURES)}")
        activation = architecture.name("hidden_act")
        architecture.known().check(config)
        checks = {
            activation: tuple(architecture.activations),
            "position_embedding_type": ("absolute", None),
            "is_decoder": (False, None),
        }
        checks |= {} if architecture.has_code else {"auto_map": (None,)}
        config.check({**checks, **architecture.checks})

        def number(name: str, default: int | None = None) -> int:
            least, most = LIMITS[name]
            field = architecture.name(name)
            if default is not None and config.get(field) is None:
                return default
            return config.number(field, int, least=least, most=most)

        hidden, heads, layers = number("hidden_size"), number("num_attention_heads"), number("num_hidden_layers")
        own_width = number("head_dim", 0) if architecture.wide else 0
        if not own_width and hidden % heads:
            config.refuse(
                architecture.name("num_attention_heads"),
                f"it must divide {architecture.name('hidden_size')}, which is {hidden}",
            )
        width = own_width or hidden // heads
        epsilon = architecture.fixed.get("layer_norm_eps") or config.number(
            architecture.name("layer_norm_eps"), float, least=0, most=1
        )
        shape = cls(
            architecture=architecture,
            hidden=hidden,
            embedding=number("embedding_size", hidden) if architecture.projection else hidden,
            heads=heads,
            key_value_heads=number("num_key_value_heads", heads) if architecture.grouped else heads,
            width=width,
            intermediate=number("intermediate_size"),
            vocabulary=_vocabulary(config, number("vocab_size")),
            positions=number("max_position_embeddings"),
            segments=_segments(config, architecture),
            distances=number("relative_attention_num_buckets") if architecture.relative_positions else 0,
            padding=number("pad_token_id") if architecture.positions_after_padding else 0,
            epsilon=epsilon,
            activation=architecture.activations[config.get(activation)],
            biases=_biases(config, architecture),
            causal=architecture.causal(config),
            scale=config.number(architecture.scale, float, least=1e-6, most=1e6) ** -0.5 if architecture.scale else None,
            spans=tuple(architecture.spans(config, width, layers)),
        )
        if shape.heads % shape.key_value_heads:
            config.refuse("num_key_value_heads", f"it must divide {architecture.name('num_attention_heads')}, which is {heads}")
        if shape.longest < 1:
            config.refuse("max_position_embeddings", f"none is left after pad_token_id, which is {shape.padding}")
        return shape

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(self.spans)

    @property
    def longest(self) -> int:
        """The largest number of tokens that have positions."""
        return self.positions - (self.padding + 1 if self.architecture.positions_after_padding else 0)

    def has_norm(self, layer: int, name: str) -> bool:
        """Return whether a layer has a norm: in some families the first layer has none before its attention."""
        return layer > 0 or self.architecture.first_norm or name != self.architecture.attention.before

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tensors that the graph is written from, by their names in the checkpoint."""
        row, biases = self.architecture, self.biases
        tensors: dict[str, tuple[int, ...]] = {f"{row.words}.weight": (self.vocabulary, self.embedding)}
        if row.learned:
            tensors[f"{row.learned}.weight"] = (self.positions, self.embedding)
        if self.segments:
            tensors[f"{row.segments}.weight"] = (self.segments, self.embedding)
        if row.relative_positions:
            tensors[f"{row.relative_positions}.weight"] = (self.distances, self.heads)
        linears: dict[str, tuple[int, int, bool]] = {}
        norms: dict[str, int] = {row.embedded: self.embedding} if row.embedded else {}
        plain: dict[str, int] = {}
        if row.projection and self.embedding != self.hidden:
            linears[row.projection] = (self.hidden, self.embedding, True)
        queries, keys = self.heads * self.width, self.key_value_heads * self.width
        parts = (queries, keys, keys) if len(row.projections) > 1 else (queries + 2 * keys,)
        halves = 2 if row.gated and len(row.inner) == 1 else 1
        for index in range(self.layers):
            layer = row.layer.format(index)
            for name, size in zip(row.projections, parts, strict=True):
                linears[f"{layer}.{name}"] = (size, self.hidden, biases.projections)
            linears[f"{layer}.{row.output}"] = (self.hidden, queries, biases.output)
            for name in row.inner:
                linears[f"{layer}.{name}"] = (halves * self.intermediate, self.hidden, biases.inner)
            linears[f"{layer}.{row.outer}"] = (self.hidden, self.intermediate, biases.outer)
            names = (*row.attention.names(), *row.feed_forward.names())
            norms |= {f"{layer}.{name}": self.hidden for name in names if self.has_norm(index, name)}
            plain |= {f"{layer}.{name}": self.width for name in row.head_norms or ()}
            norms |= {f"{layer}.{name}": size for name, size in zip(row.projection_norms or (), parts, strict=False)}
        norms |= {row.final: self.hidden} if row.final else {}
        for name, (outputs, inputs, bias) in linears.items():
            tensors |= {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})
        for name, size in norms.items():
            tensors |= {f"{name}.weight": (size,)} | ({f"{name}.bias": (size,)} if biases.norms else {})
        return tensors | {f"{name}.weight": (size,) for name, size in plain.items()}


def _vocabulary(config: Configuration, tokens: int) -> int:
    """Return the number of rows of the table of tokens, which some code rounds up."""
    multiple = config.number("pad_vocab_size_multiple", int, 1, least=1, most=65_536)
    return -(-tokens // multiple) * multiple


def _segments(config: Configuration, architecture: Architecture) -> int:
    """Return the number of token types. A family with code of its own may have none."""
    if not architecture.segments:
        return 0
    least, most = LIMITS["type_vocab_size"]
    return config.number("type_vocab_size", int, least=0 if architecture.has_code else least, most=most)


def _biases(config: Configuration, architecture: Architecture) -> Biases[bool]:
    values = {part.name: getattr(architecture.biases, part.name) for part in fields(Biases)}
    return Biases(**{name: config.flag(value) if isinstance(value, str) else value for name, value in values.items()})
