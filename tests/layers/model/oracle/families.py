"""Make tiny networks of the families after BERT's, with the official library, and their cases."""

import re
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import pre_tokenizers, processors

from tests.layers.model.oracle import changes
from tests.layers.model.oracle.networks import LETTERS, bert
from tests.layers.model.random_weights import tensor

PROMPTS = {"prompts": {"query": "search_query: ", "document": "search_document: "}}

INSTRUCTIONS = {"prompts": {"query": "Instruct: find passages\nQuery:", "document": ""}}


def electra(embedding: int) -> tuple[Any, Any]:
    """Return ELECTRA, whose embeddings may be shorter than its states."""
    tokenizer = bert()[1]
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    made = transformers.ElectraConfig(
        vocab_size=len(tokenizer), embedding_size=embedding, max_position_embeddings=64, hidden_act="gelu", **sizes
    )
    return transformers.ElectraModel(made), tokenizer


def nomic(**config: Any) -> tuple[Any, Any]:
    """Return NomicBERT as transformers has it, which reads the tensors of the repository's own code."""
    _, tokenizer = bert()
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    made = transformers.NomicBertConfig(vocab_size=len(tokenizer), **{"max_position_embeddings": 64, **sizes, **config})
    return transformers.NomicBertModel(made), tokenizer


END = "<|endoftext|>"


def qwen(kind: str = "Qwen3", *, end: bool = True, **config: Any) -> tuple[Any, Any]:
    """Return Qwen 2 or 3 with a tokenizer of bytes; with `end`, tokenizer.json appends a token, as Qwen3-Embedding's does."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "on", "Ġa", END]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[("o", "n"), ("Ġ", "a")])
    if end:
        last = (END, vocabulary[END])
        tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {END}", pair=f"$A $B {END}", special_tokens=[last]
        )
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    own = {"num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "use_cache": False}
    made = getattr(transformers, f"{kind}Config")(vocab_size=len(tokenizer), **{**sizes, **own, **config})
    return getattr(transformers, f"{kind}Model")(made), tokenizer


def eurobert(**config: Any) -> tuple[Any, Any]:
    """Return EuroBERT."""
    _, tokenizer = bert()
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    own = {"num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0}
    made = transformers.EuroBertConfig(vocab_size=len(tokenizer), **{**sizes, **own, **config})
    return transformers.EuroBertModel(made), tokenizer


def modernbert(**config: Any) -> tuple[Any, Any]:
    """Return ModernBERT: the first layer and every third one see all tokens, the others a window."""
    _, tokenizer = bert()
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48}
    own = {"max_position_embeddings": 512, "local_attention": 8, "pad_token_id": 0}
    made = transformers.ModernBertConfig(vocab_size=len(tokenizer), **{**sizes, **own, **config})
    return transformers.ModernBertModel(made), tokenizer


def gte(tokenizer: Any = None, **config: Any) -> tuple[Any, Any]:
    """Return GTE as transformers has it, which reads the tensors of the repositories' own code."""
    tokenizer = tokenizer or bert()[1]
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    own = {"max_position_embeddings": 512, "pad_token_id": 0}
    made = transformers.GteConfig(vocab_size=len(tokenizer), **{**sizes, **own, **config})
    return transformers.GteModel(made), tokenizer


def gemma(**config: Any) -> tuple[Any, Any]:
    """Return Gemma 3 for text: the third layer sees all tokens, the others a window."""
    special = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<mask>": 4}
    pieces = dict.fromkeys(["▁", *LETTERS, *(f"<0x{byte:02X}>" for byte in range(256)), "on", "▁a"])
    vocabulary = {**special, **{piece: place for place, piece in enumerate(pieces, len(special))}}
    tokenizer = transformers.GemmaTokenizer(vocab=vocabulary, merges=[("o", "n"), ("▁", "a")])
    around = [(token, vocabulary[token]) for token in ("<bos>", "<eos>")]
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", pair="<bos> $A <eos> <bos> $B <eos>", special_tokens=around
    )
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    own = {"num_key_value_heads": 1, "head_dim": 12, "query_pre_attn_scalar": 24, "max_position_embeddings": 512}
    own |= {"sliding_window": 9, "use_cache": False, "use_bidirectional_attention": True}
    own |= {"layer_types": ["sliding_attention", "sliding_attention", "full_attention"]}
    made = transformers.Gemma3TextConfig(vocab_size=len(tokenizer), **{**sizes, **own, **config})
    return transformers.Gemma3TextModel(made), tokenizer


def as_own_code_reads_it(activation: str) -> changes.Change:
    """Write config.json of NomicBERT with the names of fields that the repository's own code reads."""
    names = {
        "hidden_size": "n_embd",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
        "intermediate_size": "n_inner",
        "layer_norm_eps": "layer_norm_epsilon",
        "max_position_embeddings": "n_positions",
    }
    kept = ("vocab_size", "type_vocab_size", "model_type", "initializer_range", "pad_token_id", "architectures")
    fixed = {
        "activation_function": activation,
        "attn_pdrop": 0.0,
        "auto_map": {"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"},
        "causal": False,
        "fused_bias_fc": True,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "pad_vocab_size_multiple": 1,
        "parallel_block": False,
        "prenorm": False,
        "qkv_proj_bias": False,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None,
        "use_rms_norm": False,
    }

    def change(content: dict[str, Any]) -> dict[str, Any]:
        renamed = {own: content[name] for name, own in names.items()} | {name: content[name] for name in kept}
        return renamed | {"rotary_emb_base": content["rope_parameters"]["rope_theta"]} | fixed

    return changes.rewritten("config.json", change)


def _older_rope(content: dict[str, Any]) -> dict[str, Any]:
    rope = content.pop("rope_parameters")
    return content | {"rope_theta": rope["rope_theta"], "rope_scaling": None}


def _older_ropes(*thetas: str) -> changes.Change:
    def change(content: dict[str, Any]) -> dict[str, Any]:
        rope = content.pop("rope_parameters")
        bases = (rope[kind]["rope_theta"] for kind in ("full_attention", "sliding_attention"))
        return content | dict(zip(thetas, bases, strict=True))

    return changes.rewritten("config.json", change)


def as_new(*, packed: bool = True, **scaling: float) -> changes.Change:
    """Write config.json of GTE as the repositories' own code reads it, whose `ntk` scaling is a linear one with another base."""

    def change(content: dict[str, Any]) -> dict[str, Any]:
        rope = content.pop("rope_parameters")
        own = {"position_embedding_type": "rope", "layer_norm_type": "layer_norm", "pack_qkv": packed, "unpad_inputs": False}
        own |= {"logn_attention_scale": False, "logn_attention_clip1": False, "use_memory_efficient_attention": False}
        own |= {"auto_map": {"AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel"}, "model_type": "new"}
        factor = scaling.get("factor")
        theta = rope["rope_theta"] / (factor or 1)
        return content | own | {"rope_theta": theta, "rope_scaling": {"type": "ntk", "factor": factor} if factor else None}

    return changes.rewritten("config.json", change)


def separated(folder: Path) -> None:
    """Save queries, keys and values of GTE in a linear layer each, as the repositories' own code does without `pack_qkv`."""
    path = folder / "model.safetensors"
    shapes = {name: value.shape for name, value in load_file(path).items()}
    for name in [name for name in shapes if ".qkv_proj." in name]:
        outputs, *inputs = shapes.pop(name)
        shapes |= {name.replace("qkv_proj", f"{part}_proj"): (outputs // 3, *inputs) for part in "qkv"}
    tensors = {name: torch.from_numpy(tensor(name, shape)) for name, shape in shapes.items()}
    save_file(tensors, path, metadata={"format": "pt"})


def load_separated(model: Any, folder: Path) -> None:
    """Load the linear layers that the library does not find under their names."""
    layers = model[0].model.layers
    for name, value in load_file(folder / "model.safetensors").items():
        if found := re.fullmatch(r"encoder\.layer\.(\d+)\.attention\.([qkv]_proj)\.(weight|bias)", name):
            linear = getattr(layers[int(found[1])].self_attn, found[2])
            getattr(linear, found[3]).data = value


modernbert_with_older_rope = _older_ropes("global_rope_theta", "local_rope_theta")
gemma_with_older_rope = _older_ropes("rope_theta", "rope_local_base_freq")
with_older_rope = changes.rewritten("config.json", _older_rope)
"""Write rotary positions as versions of transformers before 5 do."""
