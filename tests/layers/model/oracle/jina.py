"""Compute vectors of JinaBERT v2, which no library has: its code is in repositories on the Hugging Face hub alone.

The network is transformers' own BERT without positions. Its mask is ALiBi with the slopes of transformers' Bloom, and its first
feed-forward layer is a gated one of torch. The variant of jina-embeddings-v2-base-code has three more LayerNorms of torch.
"""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from tests.layers.model.random_weights import tensor

NAMES = {
    "intermediate.layer": "mlp.gated_layers",
    "output.dense": "mlp.wo",
    "output.LayerNorm": "mlp.layernorm",
}
"""The names of a layer's modules here, and those in repositories."""
NAMES_WITH_PROJECTION_NORMS = {
    "attention.self.query.0": "attention.self.query",
    "attention.self.query.1": "attention.self.layer_norm_q",
    "attention.self.key.0": "attention.self.key",
    "attention.self.key.1": "attention.self.layer_norm_k",
    "attention.output.again": "layer_norm_1",
    "intermediate.layer": "mlp.up_gated_layer",
    "output.dense": "mlp.down_layer",
    "output.LayerNorm": "layer_norm_2",
}
CODE = {
    False: "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel",
    True: "jinaai/jina-bert-v2-qk-post-norm--modeling_bert.JinaBertModel",
}


class Gated(torch.nn.Module):
    """One layer whose result is two halves: one is activated and multiplies the other."""

    def __init__(self, hidden: int, inner: int, *, gate_last: bool) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(hidden, 2 * inner, bias=False)
        self.gate_last = gate_last

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        gate, values = self.layer(states).chunk(2, dim=-1)[:: -1 if self.gate_last else 1]
        return torch.nn.functional.gelu(gate) * values


class Twice(torch.nn.Module):
    """The end of an attention block that adds the block's input twice, each time with a norm."""

    def __init__(self, once: torch.nn.Module, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.dense, self.LayerNorm = once.dense, once.LayerNorm
        self.again = torch.nn.LayerNorm(hidden, eps=epsilon)

    def forward(self, result: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return self.again(states + self.LayerNorm(self.dense(result) + states))


class Jina(transformers.BertModel):
    """BERT with ALiBi and gated feed-forward blocks."""

    def __init__(self, config: transformers.BertConfig, *, norms: bool) -> None:
        super().__init__(config, add_pooling_layer=False)
        hidden, epsilon = config.hidden_size, config.layer_norm_eps
        torch.nn.init.zeros_(self.embeddings.position_embeddings.weight)
        for layer in self.encoder.layer:
            layer.intermediate = Gated(hidden, config.intermediate_size, gate_last=norms)
            if norms:
                attention = layer.attention
                for name in ("query", "key"):
                    linear = getattr(attention.self, name)
                    setattr(attention.self, name, torch.nn.Sequential(linear, torch.nn.LayerNorm(hidden, eps=epsilon)))
                attention.output = Twice(attention.output, hidden, epsilon)

    def forward(self, input_ids: torch.Tensor, **_others: Any) -> Any:
        """Compute the states of one text."""
        count = input_ids.shape[1]
        slopes = build_alibi_tensor(torch.ones(1, 2), self.config.num_attention_heads, torch.float32)[:, 0, 1]
        places = torch.arange(count)
        away = (places[:, None] - places[None]).abs()
        return super().forward(input_ids, attention_mask=-slopes[None, :, None, None] * away)


def _saved_name(name: str, *, norms: bool) -> str:
    start, layer, rest = name.partition("encoder.layer.")
    number, _, module = rest.partition(".")
    for own, theirs in (NAMES_WITH_PROJECTION_NORMS if norms else NAMES).items():
        if layer and module.rpartition(".")[0] == own:
            return f"{start}{layer}{number}.{theirs}.{module.rpartition('.')[2]}"
    return name


def _save(folder: Path, *, norms: bool) -> None:
    """Replace the weights and config.json of a BERT by those of a JinaBERT."""
    network = Jina(transformers.BertConfig.from_pretrained(folder), norms=norms)
    tensors = {}
    for name, parameter in network.named_parameters():
        saved = _saved_name(name, norms=norms)
        if "position_embeddings" not in saved:
            tensors[saved] = torch.from_numpy(tensor(saved, parameter.shape))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    path = folder / "config.json"
    own = {"position_embedding_type": "alibi", "feed_forward_type": "geglu", "emb_pooler": "mean", "attn_implementation": None}
    own["auto_map"] = {"AutoModel": CODE[norms]}
    path.write_text(json.dumps(json.loads(path.read_text()) | own))


def saved(folder: Path) -> None:
    """Save a JinaBERT as jina-embeddings-v2-base-en is."""
    _save(folder, norms=False)


def saved_with_projection_norms(folder: Path) -> None:
    """Save a JinaBERT as jina-embeddings-v2-base-code is."""
    _save(folder, norms=True)


def load(model: Any, folder: Path) -> None:
    """Put the network into the library's model, with the saved weights."""
    tensors = load_file(folder / "model.safetensors")
    norms = any("layer_norm_q" in name for name in tensors)
    network = Jina(transformers.BertConfig.from_pretrained(folder), norms=norms)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "position_embeddings" not in name:
                parameter.copy_(tensors.pop(_saved_name(name, norms=norms)))
    assert not tensors
    model[0].model = network.float().eval()
