"""Write a tiny BERT with random weights as a Sentence Transformers folder, and compute its vectors in plain numpy."""

import json
import math
import string
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 32, 4, 2, 64, 96
RARE = "§"
"""A token that is in no passage of the corpus."""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
VOCABULARY = [*SPECIAL, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), *string.punctuation, RARE]

type Weights = dict[str, np.ndarray]


def write(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 - fields of JSON files
    """Write the folder; `changes` maps a JSON file's stem to fields that differ (None takes a field out)."""
    folder.mkdir(parents=True)
    files = {
        "modules": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ],
        "config": {
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": HIDDEN,
            "num_attention_heads": HEADS,
            "num_hidden_layers": LAYERS,
            "intermediate_size": INNER,
            "vocab_size": len(VOCABULARY),
            "max_position_embeddings": POSITIONS,
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-12,
        },
        "sentence_bert_config": {"max_seq_length": 64, "do_lower_case": False},
        "tokenizer_config": {"model_max_length": 80, "tokenizer_class": "PreTrainedTokenizerFast"},
        "config_sentence_transformers": {},
        "pooling": {"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": True},
    }
    for stem, fields in files.items():
        if isinstance(fields, list):
            content: Any = fields + changes.get(stem, [])
        else:
            content = {name: value for name, value in (fields | changes.get(stem, {})).items() if value is not None}
        path = folder / ("1_Pooling/config.json" if stem == "pooling" else f"{stem}.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    safetensors.numpy.save_file(weights(), folder / "model.safetensors")
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n# Tiny\n")
    return folder


def tokenizer() -> Tokenizer:
    """Return a tokenizer of letters and punctuation. It pads and truncates, as the file of all-MiniLM-L6-v2 does."""
    made = Tokenizer(models.WordPiece({token: place for place, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))  # noqa: S106
    made.normalizer = normalizers.BertNormalizer(lowercase=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.enable_truncation(16)
    made.enable_padding(length=16)
    return made


def weights() -> Weights:
    """Return random weights, the same on every call."""
    generator = np.random.default_rng(7)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": normal(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
    }
    linears: dict[str, tuple[int, int]] = {}
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        linears |= {f"{prefix}.attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
        linears |= {f"{prefix}.attention.output.dense": (HIDDEN, HIDDEN)}
        linears |= {f"{prefix}.intermediate.dense": (INNER, HIDDEN), f"{prefix}.output.dense": (HIDDEN, INNER)}
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    for name, shape in linears.items():
        tensors |= {f"{name}.weight": normal(*shape), f"{name}.bias": normal(shape[0])}
    for name in norms:
        tensors |= {f"{name}.weight": 1 + normal(HIDDEN), f"{name}.bias": normal(HIDDEN)}
    return tensors


def token_vectors(ids: list[int]) -> np.ndarray:
    """Return the last layer's vectors (tokens, hidden) in float64, by the definition of BERT (Devlin et al. 2018)."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in weights().items()}
    erf = np.vectorize(math.erf)

    def linear(name: str, value: np.ndarray) -> np.ndarray:
        return value @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(name: str, value: np.ndarray) -> np.ndarray:
        centred = value - value.mean(axis=-1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-12)
        return centred / scale * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    states = tensors["embeddings.word_embeddings.weight"][ids]
    states = states + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    states = norm("embeddings.LayerNorm", states + tensors["embeddings.token_type_embeddings.weight"][0])
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        query, key, value = (
            linear(f"{prefix}.attention.self.{part}", states).reshape(len(ids), HEADS, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = np.exp(query @ key.swapaxes(1, 2) / np.sqrt(HIDDEN / HEADS))
        attended = (scores / scores.sum(axis=-1, keepdims=True) @ value).swapaxes(0, 1).reshape(len(ids), HIDDEN)
        attended = linear(f"{prefix}.attention.output.dense", attended)
        states = norm(f"{prefix}.attention.output.LayerNorm", states + attended)
        inner = linear(f"{prefix}.intermediate.dense", states)
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        states = norm(f"{prefix}.output.LayerNorm", states + linear(f"{prefix}.output.dense", inner))
    return states
