"""Qwen 2 and 3 and EuroBERT: a norm before each block, RMSNorm, rotary positions, grouped heads for keys and values."""

from collections.abc import Sequence
from dataclasses import replace

from layers.model.configuration import Configuration
from layers.model.families.spans import FULL, SLIDING, Span, kinds, rotary, window
from layers.model.families.traits import Architecture, Biases, Norms
from layers.model.known_fields import Fields

ROPE = ("rope_parameters", "rope_theta", "rope_scaling")


def _spans(config: Configuration, width: int, layers: int) -> Sequence[Span]:
    return [Span(rotary=rotary(config, width))] * layers


def _sliding_spans(config: Configuration, width: int, layers: int) -> Sequence[Span]:
    """Return the spans of Qwen: a token sees `sliding_window` tokens, itself included, where a layer's attention slides."""
    turned = rotary(config, width)
    slides = config.flag("use_sliding_window") and config.get("sliding_window") is not None
    first = config.number("max_window_layers", int, 28) if slides else layers
    default = [SLIDING if index >= first else FULL for index in range(layers)]
    return [
        Span(window(config, "sliding_window") - 1 if kind == SLIDING else None, turned) for kind in kinds(config, layers, default)
    ]


def _is_causal(config: Configuration) -> bool:
    """Return the field is_causal, which transformers 5 obeys."""
    return config.flag("is_causal", default=True)


DECODER = Architecture(
    prefix="model.",
    words="embed_tokens",
    segments="",
    learned="",
    embedded="",
    layer="layers.{}",
    attention=Norms(before="input_layernorm"),
    projections=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    output="self_attn.o_proj",
    feed_forward=Norms(before="post_attention_layernorm"),
    inner=("mlp.gate_proj", "mlp.up_proj"),
    outer="mlp.down_proj",
    final="norm",
    gated=True,
    centered=False,
    spans=_spans,
    fields={"layer_norm_eps": "rms_norm_eps"},
    grouped=True,
    exact=True,
)
QWEN2 = replace(
    DECODER,
    biases=Biases(projections=True, output=False, inner=False, outer=False, norms=False),
    spans=_sliding_spans,
    causal=_is_causal,
    own=Fields(used=(*ROPE, "is_causal", "layer_types", "use_sliding_window", "sliding_window", "max_window_layers")),
)
QWEN3 = replace(
    QWEN2,
    biases=Biases(projections="attention_bias", output="attention_bias", inner=False, outer=False, norms=False),
    head_norms=("self_attn.q_norm", "self_attn.k_norm"),
    wide=True,
)
EUROBERT = replace(
    DECODER,
    biases=Biases(projections="attention_bias", output="attention_bias", inner="mlp_bias", outer="mlp_bias", norms=False),
    wide=True,
    own=Fields(
        used=ROPE,
        harmless={
            "of heads after the encoder": ("classifier_pooling", "mask_token_id", "mask_token"),
            "how the same result is computed": ("pretraining_tp", "eos_token", "pad_token", "bos_token"),
        },
        only={"clip_qkv": ()},
    ),
    has_code=True,
)
