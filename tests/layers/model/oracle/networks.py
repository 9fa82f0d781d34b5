"""Make tiny networks of the official library, and a tokenizer for each."""

import string
from typing import Any

import torch
import transformers
from sentence_transformers import models as modules
from tokenizers import pre_tokenizers

from tests.layers.model.random_weights import tensor

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 64
LIMIT = 24
LETTERS = [*string.ascii_letters, *"éß한국🦜", *string.digits, *string.punctuation]


def wordpieces(*special: str) -> dict[str, int]:
    """Return a vocabulary of letters, at the start of a word and inside it."""
    tokens = [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return {token: place for place, token in enumerate(dict.fromkeys(tokens))}


def bert(**config: Any) -> tuple[Any, Any]:
    tokenizer = transformers.BertTokenizer(vocab=wordpieces("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), do_lower_case=False)
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    sizes["max_position_embeddings"] = POSITIONS
    made = transformers.BertConfig(vocab_size=len(tokenizer), **{**sizes, **config})
    return transformers.BertModel(made), tokenizer


def padded_bert() -> tuple[Any, Any]:
    """Return a BERT with more rows than tokens, as in models whose vocabulary is rounded up."""
    _, tokenizer = bert()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.BertConfig(vocab_size=len(tokenizer) + 8, max_position_embeddings=POSITIONS, **sizes)
    return transformers.BertModel(made), tokenizer


def bert_of_unigrams() -> tuple[Any, Any]:
    """Return BERT's network with XLM-RoBERTa's tokenizer, as in paraphrase-multilingual-MiniLM-L12-v2."""
    _, tokenizer = xlm_roberta()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.BertConfig(vocab_size=len(tokenizer) + 3, max_position_embeddings=POSITIONS, **sizes)
    return transformers.BertModel(made), tokenizer


def distilbert(**config: Any) -> tuple[Any, Any]:
    tokenizer = transformers.BertTokenizer(vocab=wordpieces("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), do_lower_case=True)
    sizes = {"dim": HIDDEN, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": INNER}
    made = transformers.DistilBertConfig(vocab_size=len(tokenizer), max_position_embeddings=POSITIONS, **sizes, **config)
    return transformers.DistilBertModel(made), tokenizer


def mpnet(positions: int = POSITIONS) -> tuple[Any, Any]:
    tokenizer = transformers.MPNetTokenizer(vocab=wordpieces("<s>", "<pad>", "</s>", "[UNK]", "<mask>"), do_lower_case=True)
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.MPNetConfig(vocab_size=len(tokenizer), max_position_embeddings=positions, **sizes)
    return transformers.MPNetModel(made), tokenizer


def roberta(kind: str = "Roberta") -> tuple[Any, Any]:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "on", "Ġa", "<mask>"]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = transformers.RobertaTokenizer(vocab=vocabulary, merges=[("o", "n"), ("Ġ", "a")])
    return _roberta_like(kind, len(tokenizer)), tokenizer


def roberta_of_word_pieces() -> tuple[Any, Any]:
    """Return RoBERTa's network with BERT's tokenizer, as in ko-sroberta-multitask."""
    tokenizer = transformers.BertTokenizer(vocab=wordpieces("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"), do_lower_case=False)
    return _roberta_like("Roberta", len(tokenizer)), tokenizer


def xlm_roberta(kind: str = "XLMRoberta") -> tuple[Any, Any]:
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces = [
        *special,
        ("▁", -2.0),
        *((f"▁{letter}", -3.0) for letter in string.ascii_letters),
        *((letter, -4.0) for letter in LETTERS),
    ]
    tokenizer = transformers.XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)])
    return _roberta_like(kind, len(tokenizer)), tokenizer


def _roberta_like(kind: str, vocabulary: int) -> Any:
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=vocabulary, max_position_embeddings=POSITIONS, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, **sizes
    )
    return getattr(transformers, f"{kind}Model")(config)


def albert() -> tuple[Any, Any]:
    """Return an ALBERT, a family that our builder takes from its own ONNX file."""
    _, tokenizer = bert()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.AlbertConfig(vocab_size=len(tokenizer), embedding_size=16, max_position_embeddings=POSITIONS, **sizes)
    return transformers.AlbertModel(made, add_pooling_layer=False), tokenizer


def llama() -> tuple[Any, Any]:
    """Return a decoder with causal attention and rotary positions, of a family that our builder takes from its own ONNX file."""
    _, tokenizer = bert()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.LlamaConfig(
        vocab_size=len(tokenizer), num_key_value_heads=2, head_dim=8, max_position_embeddings=POSITIONS, use_cache=False, **sizes
    )
    made._attn_implementation = "eager"
    return transformers.LlamaModel(made), tokenizer


def weights_of_words() -> Any:
    """Return a WordWeights module for the tokens of BERT. Its saved weights are random, because the library does not load them."""
    tokens = list(wordpieces("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))
    return modules.WordWeights(
        tokens, {token: 0.25 + place / 100 for place, token in enumerate(tokens[:60:2])}, unknown_word_weight=0.5
    )


def fill(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(tensor(name, parameter.shape)))
            parameter.requires_grad = False  # what is exported must be constant
