"""GTE (gte v1.5, gte-multilingual, arctic-embed-m-v2.0): BERT with rotary positions and a gated feed-forward block.

Its model_type is `new` in Alibaba's repositories, and `gte` in Snowflake's and in transformers.
"""

from collections.abc import Sequence
from dataclasses import replace

from layers.model.configuration import Configuration
from layers.model.families.spans import Span, rotary
from layers.model.families.traits import Architecture, Biases, Norms
from layers.model.known_fields import Fields


def _spans(config: Configuration, width: int, layers: int) -> Sequence[Span]:
    return [Span(rotary=rotary(config, width))] * layers


def has_separate_projections(config: Configuration) -> bool:
    """Return whether queries, keys and values have a linear layer each."""
    return not config.flag("pack_qkv", default=True)


NEW = Architecture(
    prefix="new.",
    learned="",
    attention=Norms(after="attn_ln"),
    projections=("attention.qkv_proj",),
    output="attention.o_proj",
    feed_forward=Norms(after="mlp_ln"),
    inner=("mlp.up_gate_proj",),
    outer="mlp.down_proj",
    gated=True,
    gate_last=True,
    biases=Biases(inner=False),
    spans=_spans,
    own=Fields(
        used=("rope_parameters", "rope_theta", "rope_scaling", "pack_qkv"),
        harmless={
            "how the same result is computed": ("unpad_inputs", "use_memory_efficient_attention"),
            "of logn_attention_scale": ("logn_attention_clip1",),
        },
        only={"layer_norm_type": ("layer_norm",), "logn_attention_scale": (False,)},
    ),
    checks={"position_embedding_type": ("rope", None)},
    has_code=True,
    exact=True,
)
NEW_SEPARATE = replace(NEW, projections=("attention.q_proj", "attention.k_proj", "attention.v_proj"))
GTE = replace(NEW, prefix="gte.")
