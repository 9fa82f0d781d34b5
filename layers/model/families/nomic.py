"""NomicBERT (nomic-embed-text v1 and v1.5): BERT with rotary positions and a gated feed-forward block.

config.json has the names of GPT-2's fields where the repository's own code reads it, and BERT's names where transformers wrote it.
"""

from collections.abc import Sequence
from dataclasses import replace

from layers.model.configuration import Configuration
from layers.model.families.spans import THETA, Rotary, Span, rotary
from layers.model.families.traits import Architecture, Biases, Norms
from layers.model.known_fields import Fields


def _spans(config: Configuration, width: int, layers: int) -> Sequence[Span]:
    return [Span(rotary=rotary(config, width))] * layers


def _spans_of_own_code(config: Configuration, width: int, layers: int) -> Sequence[Span]:
    theta = config.number("rotary_emb_base", float, least=THETA[0], most=THETA[1])
    if width % 2:
        config.refuse("n_head", f"a head has {width} numbers, and rotary positions turn pairs of them")
    return [Span(rotary=Rotary(theta, width))] * layers


NOMIC = Architecture(
    prefix="nomic_bert.",
    learned="",
    embedded="emb_ln",
    layer="encoder.layers.{}",
    projections=("attn.Wqkv",),
    output="attn.out_proj",
    attention=Norms(after="norm1"),
    inner=("mlp.fc12", "mlp.fc11"),
    outer="mlp.fc2",
    feed_forward=Norms(after="norm2"),
    gated=True,
    biases=Biases(projections=False, output=False, inner=False, outer=False),
    spans=_spans,
    wide=True,
    own=Fields(used=("rope_parameters", "rope_theta", "rope_scaling")),
    has_code=True,
    exact=True,
)
NOMIC_OF_OWN_CODE = replace(
    NOMIC,
    prefix="bert.",
    spans=_spans_of_own_code,
    activations={"swiglu": "silu", "geglu": "gelu"},
    fields={
        "hidden_size": "n_embd",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
        "intermediate_size": "n_inner",
        "hidden_act": "activation_function",
        "layer_norm_eps": "layer_norm_epsilon",
        "max_position_embeddings": "n_positions",
    },
    wide=False,
    own=Fields(
        used=("rotary_emb_base", "pad_vocab_size_multiple"),
        harmless={
            "done while training alone": ("attn_pdrop", "embd_pdrop", "resid_pdrop", "mlp_checkpoint"),
            "how the same result is computed": (
                *("fused_bias_fc", "fused_dropout_add_ln", "use_flash_attn", "reorder_and_upcast_attn", "use_xentropy"),
                *("dense_seq_output", "last_layer_subset"),
            ),
            "of heads after the encoder": (
                *("summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_use_proj"),
                "add_pooling_layer",
            ),
            "of longer positions, without rotary_scaling_factor": ("max_trained_positions",),
        },
        only={
            "causal": (False,),
            "qkv_proj_bias": (False,),
            "mlp_fc1_bias": (False,),
            "mlp_fc2_bias": (False,),
            "rotary_emb_fraction": (1.0,),
            "parallel_block": (False,),
            "parallel_block_tied_norm": (False,),
            "prenorm": (False,),
            "rotary_emb_interleaved": (False,),
            "rotary_emb_scale_base": (),
            "rotary_scaling_factor": (),
            "scale_attn_by_inverse_layer_idx": (False,),
            "scale_attn_weights": (True,),
            "use_rms_norm": (False,),
            "moe_every_n_layers": (0,),
        },
    ),
)
