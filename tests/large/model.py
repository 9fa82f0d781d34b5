"""Write large models with random weights as Sentence Transformers folders. They are as slow to build and to serve as real ones.

gte-large is published as float16 safetensors, bge-m3 as a float32 pickle with a vocabulary of its own.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from layers.model import packages
from layers.model.architectures import Shape
from layers.model.configuration import Configuration
from layers.model.corpus import passages
from tests.layers.model import folders, torch_files

SPREAD = 0.02
"""The `initializer_range` of BERT and of XLM-RoBERTa."""
SIZES = {
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "intermediate_size": 4096,
}

type Tensors = Callable[[], Iterator[tuple[str, np.ndarray]]]


@dataclass(frozen=True, slots=True)
class LargeModel:
    """A model with the shape of a real one.

    `passages` is the number of passages for scoring: each takes more than a second. `write_tokenizer` and `write_weights` write
    their files into a folder; the latter takes a function that yields the tensors.
    """

    name: str
    config: Mapping[str, Any]
    max_length: int
    pooling: str
    passages: int
    write_tokenizer: Callable[[Path, Path], None]
    write_weights: Callable[[Path, Mapping[str, tuple[int, ...]], Tensors], Path]

    def write(self, folder: Path, cache: Path) -> Path:
        """Write the model's folder; return its checkpoint. `cache` keeps what is downloaded for it."""
        folders.write(
            folder,
            {
                "modules.json": folders.modules("Transformer", "Pooling", "Normalize"),
                "config.json": self.config,
                "sentence_bert_config.json": {"max_seq_length": self.max_length, "do_lower_case": False},
                "1_Pooling/config.json": {"word_embedding_dimension": self.config["hidden_size"], "pooling_mode": self.pooling},
            },
        )
        self.write_tokenizer(folder, cache)
        shapes = Shape.read(Configuration("config.json", self.config)).tensors()
        return self.write_weights(folder, shapes, lambda: _tensors(shapes))


def _tensors(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the weights one after the other. Every call yields the same."""
    generator = np.random.default_rng(7)
    for name, shape in shapes.items():
        values = SPREAD * generator.standard_normal(shape, dtype=np.float32)
        yield name, values + np.float32(name.endswith("LayerNorm.weight"))


# --- Weights ----------------------------------------------------------------------------------------------


def _write_safetensors(folder: Path, _shapes: Mapping[str, tuple[int, ...]], tensors: Tensors) -> Path:
    path = folder / "model.safetensors"
    safetensors.numpy.save_file({name: values.astype(np.float16) for name, values in tensors()}, path)
    return path


def _write_pickle(folder: Path, shapes: Mapping[str, tuple[int, ...]], tensors: Tensors) -> Path:
    """Write one tensor at a time, so that only one is in memory."""
    opcodes = {}
    for key, (name, shape) in enumerate(shapes.items()):
        strides = tuple(int(np.prod(shape[place + 1 :])) for place in range(len(shape)))
        opcodes[name] = torch_files.tensor("FloatStorage", shape, strides, 0, int(np.prod(shape)), str(key))
    path = folder / "pytorch_model.bin"
    with torch_files.archive(path, torch_files.dictionary(opcodes)) as add:
        for key, (_, values) in enumerate(tensors()):
            add(str(key), values.tobytes())
    return path


# --- Tokenizers -------------------------------------------------------------------------------------------


def _copy_default_tokenizer(folder: Path, cache: Path) -> None:
    """Copy the tokenizer of the default model, which has gte-large's vocabulary."""
    tokenizer = packages.pinned(packages.DEFAULT, cache, lambda _: None)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)


SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
VOCABULARY = 250_002


def _write_unigrams(folder: Path, _cache: Path) -> None:
    """Write a tokenizer with as many tokens as XLM-RoBERTa has. The words of the passages are among them."""
    texts = [*passages("calibration", 128), *passages("scoring", BGE_M3.passages)]
    words = dict.fromkeys(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text))
    pieces = [*((token, 0.0) for token in SPECIAL), ("▁", -9.0), *((f"▁{word}", -8.0) for word in words)]
    pieces += [(f"▁unused{place}", -20.0) for place in range(VOCABULARY - len(pieces))]
    made = Tokenizer(models.Unigram(pieces, SPECIAL.index("<unk>")))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace()])
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    made.save(str(folder / "tokenizer.json"))
    folders.write(folder, {"tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer"}})


# --- Models -----------------------------------------------------------------------------------------------

GTE_LARGE = LargeModel(
    name="gte-large-shaped",
    config=SIZES
    | {"model_type": "bert", "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12},
    max_length=512,
    pooling="mean",
    passages=32,
    write_tokenizer=_copy_default_tokenizer,
    write_weights=_write_safetensors,
)
BGE_M3 = LargeModel(
    name="bge-m3-shaped",
    config=SIZES
    | {"model_type": "xlm-roberta", "vocab_size": VOCABULARY, "max_position_embeddings": 8194, "type_vocab_size": 1}
    | {"pad_token_id": 1, "layer_norm_eps": 1e-05},
    max_length=8192,
    pooling="cls",
    passages=12,
    write_tokenizer=_write_unigrams,
    write_weights=_write_pickle,
)
MODELS = {model.name: model for model in (GTE_LARGE, BGE_M3)}
