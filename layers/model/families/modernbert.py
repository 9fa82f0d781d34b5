"""ModernBERT: a norm before each block, rotary positions, and windows in most layers."""

from collections.abc import Sequence

from layers.model.configuration import Configuration
from layers.model.families.spans import FULL, SLIDING, Span, kinds, rotary_by_kind, window
from layers.model.families.traits import Architecture, Biases, Norms
from layers.model.known_fields import Fields


def _spans(config: Configuration, width: int, layers: int) -> Sequence[Span]:
    """Return the spans: half of the window `local_attention` is before a token, and half is after it."""
    every = config.number("global_attn_every_n_layers", int, 3, least=1, most=layers + 1)
    given = kinds(config, layers, [SLIDING if index % every else FULL for index in range(layers)])
    turned = rotary_by_kind(config, width, {FULL: "global_rope_theta", SLIDING: "local_rope_theta"})
    windows = {FULL: None, SLIDING: max(1, window(config, "local_attention") // 2)}
    return [Span(windows[kind], turned[kind]) for kind in given]


MODERNBERT = Architecture(
    prefix="model.",
    words="embeddings.tok_embeddings",
    segments="",
    learned="",
    embedded="embeddings.norm",
    layer="layers.{}",
    attention=Norms(before="attn_norm"),
    first_norm=False,
    projections=("attn.Wqkv",),
    output="attn.Wo",
    feed_forward=Norms(before="mlp_norm"),
    inner=("mlp.Wi",),
    outer="mlp.Wo",
    final="final_norm",
    gated=True,
    biases=Biases(projections="attention_bias", output="attention_bias", inner="mlp_bias", outer="mlp_bias", norms="norm_bias"),
    spans=_spans,
    fields={"hidden_act": "hidden_activation", "layer_norm_eps": "norm_eps"},
    own=Fields(
        used=(
            *("global_attn_every_n_layers", "local_attention", "layer_types"),
            *("global_rope_theta", "local_rope_theta", "rope_parameters", "rope_scaling"),
        ),
        harmless={
            "done while training alone": ("embedding_dropout", "mlp_dropout", "initializer_cutoff_factor"),
            "how the same result is computed": ("deterministic_flash_attn", "reference_compile", "repad_logits_with_grad"),
            "of heads after the encoder": (
                *("classifier_activation", "classifier_bias", "classifier_pooling", "decoder_bias", "cls_token_id"),
                *("sparse_prediction", "sparse_pred_ignore_index"),
            ),
            "of other families, which this one does not read": ("layer_norm_eps",),
        },
    ),
    exact=True,
)
