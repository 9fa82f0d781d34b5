"""The traits of a family of encoders: the names of its tensors, its parts, and the fields of its config.json.

All families are one network (encoder.py): embeddings, then layers of an attention block and a feed-forward block. A row says where
a family differs from BERT.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from layers.model import known_fields
from layers.model.activations import ENCODERS
from layers.model.configuration import Configuration
from layers.model.families.spans import Span
from layers.model.known_fields import Fields


@dataclass(frozen=True, slots=True)
class Norms:
    """The names of the norms around a block; "" where there is none.

    before: the norm of the block's input.
    inside: the norm of the block's result, before it is added to the block's input.
    joined: the norm of the sum of the block's result and its input, before its input is added once more.
    after: the norm of the last sum.
    """

    before: str = ""
    inside: str = ""
    joined: str = ""
    after: str = ""

    def names(self) -> tuple[str, ...]:
        """Return the names of those that are there."""
        return tuple(name for name in (self.before, self.inside, self.joined, self.after) if name)


@dataclass(frozen=True, slots=True)
class Biases[Kind: (bool, bool | str)]:
    """Which layers have biases: true, false, or the field of config.json that says it."""

    projections: Kind = True
    output: Kind = True
    inner: Kind = True
    outer: Kind = True
    norms: Kind = True


HEADS = r"(?:pooler|cls|lm_head|classifier|score|head|decoder)\."
"""Tensors of heads after the encoder, which an embedding does not need."""
BUFFERS = r"(?:.*\.)?(?:position_ids|token_type_ids|(?:\w+_)?inv_freq|cos_cached|sin_cached|embed_scale)$"
"""Tensors of checkpoints that code makes anew: numbers of places, tables of positions."""

type BiasTraits = Biases[bool | str]


def full(_config: Configuration, _width: int, layers: int) -> Sequence[Span]:
    """Return layers whose attention sees all tokens, without rotary positions."""
    return [Span()] * layers


def never(_config: Configuration) -> bool:
    """Return False: no token is hidden from an earlier one."""
    return False


@dataclass(frozen=True, slots=True)
class Architecture:
    """One family. Names of tensors lack `.weight` and `.bias`. Names of a layer's tensors lack the name of the layer."""

    prefix: str
    """The prefix of the encoder's tensors in checkpoints that were saved from a model with a head."""

    # --- Embeddings
    words: str = "embeddings.word_embeddings"
    segments: str = "embeddings.token_type_embeddings"
    """The name of the table of token types; "" without one."""
    learned: str = "embeddings.position_embeddings"
    """The name of the table of learned positions; "" without one."""
    positions_after_padding: bool = False
    """True if learned positions start at the padding token's id + 1, and a padding token in a text has no position of its own."""
    embedded: str = "embeddings.LayerNorm"
    """The name of the embeddings' norm; "" without one."""
    projection: str = ""
    """The name of the linear layer between embeddings of another length and the first layer; "" without one."""
    scaled: bool = False
    """True if embeddings are multiplied by the square root of their length."""

    # --- Layers
    layer: str = "encoder.layer.{}"
    attention: Norms = Norms(after="attention.output.LayerNorm")
    projections: tuple[str, ...] = ("attention.self.query", "attention.self.key", "attention.self.value")
    """The names of the linear layers of queries, keys and values, or of the one layer that has them all, in this order."""
    output: str = "attention.output.dense"
    feed_forward: Norms = Norms(after="output.LayerNorm")
    inner: tuple[str, ...] = ("intermediate.dense",)
    """The name of the first linear layer; if `gated`, of the gate's layer and the values' layer, or of the one that has both."""
    outer: str = "output.dense"
    first_norm: bool = True
    """False if the first layer's attention has no norm before it."""
    final: str = ""
    """The name of the norm after the last layer; "" without one."""

    # --- Parts
    gated: bool = False
    """True if the activation of one half of the first linear layer's results is multiplied by the other half."""
    gate_last: bool = False
    """True if the one layer that has both has the values before the gate."""
    activations: Mapping[str, str] = field(default_factory=lambda: {name: name for name in ENCODERS})
    """The names of activations in config.json, and those of activations.ENCODERS."""
    biases: BiasTraits = field(default_factory=Biases)
    centered: bool = True
    """True for LayerNorm, False for RMSNorm."""
    gain: float = 0
    """The number that is added to the weights of norms."""
    head_norms: tuple[str, str] | None = None
    """The names of the RMSNorms of each head's query and key; None without them."""
    projection_norms: tuple[str, str] | None = None
    """The names of the norms of all queries and all keys of a token; None without them."""
    relative_positions: str = ""
    """The name of the table that has, for each distance between two tokens, what is added to their attention; "" without one."""
    spans: Callable[[Configuration, int, int], Sequence[Span]] = full
    """Reads what each layer's attention sees, from config.json, the width of a head and the number of layers."""
    causal: Callable[[Configuration], bool] = never
    """Reads from config.json whether a token sees only those before it."""
    scale: str = ""
    """The field of config.json by whose square root scores are divided; "" if they are divided by that of a head's width."""

    # --- config.json
    fields: Mapping[str, str] = field(default_factory=dict)
    """The family's names for fields of config.json, by BERT's names, where these differ."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Values that the family's code sets, by BERT's names: config.json does not have them."""
    grouped: bool = False
    """True if config.json may have fewer heads for keys and values (num_key_value_heads)."""
    wide: bool = False
    """True if config.json may give a head a width of its own (head_dim)."""
    own: Fields = field(default_factory=Fields)
    """The family's further fields of config.json."""
    checks: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The allowed values of fields that other families have too."""
    has_code: bool = False
    """True if repositories of the family name code of their own (`auto_map`), which computes what is written here."""
    exact: bool = False
    """True if a checkpoint with a tensor of the encoder that is not used is refused."""

    def name(self, field: str) -> str:
        """Return the family's name for a field that BERT's config.json calls `field`."""
        return self.fields.get(field, field)

    def reads(self) -> tuple[str, ...]:
        """Return the fields of config.json that the family reads in addition to known_fields.ENCODER, by BERT's names."""
        fields = ["hidden_act", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size"]
        fields += ["type_vocab_size"] if self.segments else []
        fields += ["relative_attention_num_buckets"] if self.relative_positions else []
        fields += ["num_key_value_heads"] if self.grouped else []
        fields += ["head_dim"] if self.wide else []
        fields += ["embedding_size"] if self.projection else []
        return (*fields, *({"layer_norm_eps"} - self.fixed.keys()))

    def others(self, layers: int) -> re.Pattern[str]:
        """Return the names of tensors that change no vector: heads after the encoder, tables, layers after the last one."""
        known = "|".join(map(str, range(layers)))
        beyond = re.escape(self.layer).replace(r"\{\}", rf"(?!(?:{known})\.)\d+\.")
        return re.compile(f"{HEADS}|{BUFFERS}|{beyond}")

    def known(self) -> Fields:
        """Return all known fields of the family's config.json."""
        every = known_fields.ENCODER
        flags = (self.biases.projections, self.biases.output, self.biases.inner, self.biases.outer, self.biases.norms, self.scale)
        used = (*every.used, *(self.name(field) for field in (*self.reads(), "max_position_embeddings")), *self.own.used)
        used += tuple(flag for flag in flags if isinstance(flag, str) and flag)
        reasons = dict.fromkeys([*every.harmless, *self.own.harmless])
        harmless = {reason: (*every.harmless.get(reason, ()), *self.own.harmless.get(reason, ())) for reason in reasons}
        return replace(every, used=used, harmless=harmless, only={**every.only, **self.own.only})
