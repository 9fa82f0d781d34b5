"""BERT and the families that differ from it in few traits: a norm after each block, learned positions."""

from dataclasses import replace

from layers.model.families.traits import Architecture, Norms
from layers.model.known_fields import Fields

BERT = Architecture(prefix="bert.")
ROBERTA = replace(BERT, prefix="roberta.", positions_after_padding=True)
MPNET = replace(
    ROBERTA,
    prefix="mpnet.",
    projections=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
    output="attention.attn.o",
    attention=Norms(after="attention.LayerNorm"),
    segments="",
    relative_positions="encoder.relative_attention_bias",
)
DISTILBERT = Architecture(
    prefix="distilbert.",
    layer="transformer.layer.{}",
    projections=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    output="attention.out_lin",
    attention=Norms(after="sa_layer_norm"),
    inner=("ffn.lin1",),
    outer="ffn.lin2",
    feed_forward=Norms(after="output_layer_norm"),
    segments="",
    fields={
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
    },
    fixed={"layer_norm_eps": 1e-12},
)
ELECTRA = replace(
    BERT,
    prefix="electra.",
    projection="embeddings_project",
    own=Fields(
        harmless={
            "of heads after the encoder": ("summary_activation", "summary_last_dropout", "summary_use_proj", "generator_size"),
        }
    ),
)
