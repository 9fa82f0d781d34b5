"""JinaBERT (jina-embeddings v2): BERT with ALiBi and a gated feed-forward block. Its model_type is `bert`, too."""

from collections.abc import Sequence
from dataclasses import replace

from layers.model.configuration import Configuration
from layers.model.families.bert import BERT
from layers.model.families.spans import Span
from layers.model.families.traits import Biases, Norms
from layers.model.known_fields import Fields


def _spans(_config: Configuration, _width: int, layers: int) -> Sequence[Span]:
    return [Span(alibi=True)] * layers


def has_alibi(config: Configuration) -> bool:
    """Return whether config.json of the model_type `bert` is one of JinaBERT."""
    return bool(config.get("position_embedding_type") == "alibi")


def has_projection_norms(config: Configuration) -> bool:
    """Return whether it is the variant of jina-embeddings-v2-base-code, whose code is in jina-bert-v2-qk-post-norm."""
    return has_alibi(config) and "qk-post-norm" in str(config.get("auto_map"))


JINA = replace(
    BERT,
    learned="",
    inner=("mlp.gated_layers",),
    outer="mlp.wo",
    feed_forward=Norms(after="mlp.layernorm"),
    gated=True,
    activations={"geglu": "gelu", "reglu": "relu"},
    biases=Biases(inner=False),
    spans=_spans,
    fields={"hidden_act": "feed_forward_type"},
    own=Fields(
        harmless={
            "of other families, which this one does not read": ("hidden_act",),
            "of the encode method of the repository's code": ("emb_pooler", "model_max_length"),
        }
    ),
    checks={"position_embedding_type": ("alibi",)},
    has_code=True,
    exact=True,
)
JINA_WITH_PROJECTION_NORMS = replace(
    JINA,
    projection_norms=("attention.self.layer_norm_q", "attention.self.layer_norm_k"),
    attention=Norms(joined="attention.output.LayerNorm", after="layer_norm_1"),
    inner=("mlp.up_gated_layer",),
    gate_last=True,
    outer="mlp.down_layer",
    feed_forward=Norms(after="layer_norm_2"),
)
