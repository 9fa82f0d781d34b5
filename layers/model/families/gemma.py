"""Gemma 3 for text (EmbeddingGemma): norms before each block and inside it, which store how much they differ from 1."""

from collections.abc import Sequence
from dataclasses import replace

from layers.model.configuration import Configuration
from layers.model.families.decoders import DECODER
from layers.model.families.spans import FULL, SLIDING, Span, kinds, rotary_by_kind, window
from layers.model.families.traits import Biases, Norms
from layers.model.known_fields import Fields


def _spans(config: Configuration, width: int, layers: int) -> Sequence[Span]:
    """Return the spans: a window in both directions has half of `sliding_window` on each side, a causal one has all before."""
    every = config.number("sliding_window_pattern", int, 6, least=1, most=layers + 6)
    given = kinds(config, layers, [SLIDING if (index + 1) % every else FULL for index in range(layers)])
    turned = rotary_by_kind(config, width, {FULL: "rope_theta", SLIDING: "rope_local_base_freq"}, scaled=(FULL,))
    whole = window(config, "sliding_window")
    windows = {FULL: None, SLIDING: whole - 1 if _is_causal(config) else whole // 2}
    return [Span(windows[kind], turned[kind]) for kind in given]


def _is_causal(config: Configuration) -> bool:
    return not config.flag("use_bidirectional_attention")


GEMMA3 = replace(
    DECODER,
    scaled=True,
    attention=Norms(before="input_layernorm", inside="post_attention_layernorm"),
    feed_forward=Norms(before="pre_feedforward_layernorm", inside="post_feedforward_layernorm"),
    biases=Biases(projections="attention_bias", output="attention_bias", inner=False, outer=False, norms=False),
    gain=1,
    head_norms=("self_attn.q_norm", "self_attn.k_norm"),
    spans=_spans,
    causal=_is_causal,
    scale="query_pre_attn_scalar",
    fields={"layer_norm_eps": "rms_norm_eps", "hidden_act": "hidden_activation"},
    wide=True,
    own=Fields(
        used=(
            *("layer_types", "sliding_window", "sliding_window_pattern", "use_bidirectional_attention"),
            *("rope_parameters", "rope_theta", "rope_local_base_freq", "rope_scaling"),
        ),
        harmless={
            "of heads after the encoder": ("final_logit_softcapping",),
            "of older versions, beside layer_types": ("_sliding_window_pattern",),
        },
        only={"attn_logit_softcapping": ()},
    ),
)
