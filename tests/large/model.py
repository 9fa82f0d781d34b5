"""Write large models with random weights as Sentence Transformers folders. They are as slow to build and to serve as real ones."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors.numpy
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from layers.model import packages
from layers.model.architectures import Shape
from layers.model.configuration import Configuration
from layers.model.corpus import passages
from tests.layers.model import folders, torch_files
from tests.layers.model.coverage import MODELS as USED

SPREAD = 0.02
"""The `initializer_range` of all these families."""
SIZES = {
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "intermediate_size": 4096,
}

type Shapes = Mapping[str, tuple[int, ...]]
type Tensors = Callable[[], Iterator[tuple[str, np.ndarray]]]


@dataclass(frozen=True, slots=True)
class LargeModel:
    """A model with the shape of a real one.

    name: the real model's.
    passages: the number of passages for scoring: each can take more than a second.
    write_tokenizer: writes the tokenizer's files into a folder.
    write_weights: writes the checkpoint as the real model's is published; it takes a function that yields the tensors.
    dense: the sizes of the Dense modules after Pooling.
    """

    name: str
    config: Mapping[str, Any]
    max_length: int
    pooling: str
    passages: int
    write_tokenizer: Callable[[Path, Path], None]
    write_weights: Callable[[Path, Shapes, Tensors], Path]
    dense: tuple[tuple[int, int], ...] = ()

    def shape(self) -> Shape:
        """Return the encoder's sizes."""
        return Shape.read(Configuration("config.json", self.config))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the encoder's tensors."""
        return self.shape().tensors()

    def weight_bytes(self) -> int:
        """Return the size of the encoder's weights in float32."""
        return 4 * sum(int(np.prod(shape)) for shape in self.shapes().values())

    def write(self, folder: Path, cache: Path) -> Path:
        """Write the model's folder; return its checkpoint. `cache` keeps what is downloaded for it."""
        folders.write(
            folder,
            {
                "modules.json": folders.modules("Transformer", "Pooling", *["Dense"] * len(self.dense), "Normalize"),
                "config.json": self.config,
                "sentence_bert_config.json": {"max_seq_length": self.max_length, "do_lower_case": False},
                "1_Pooling/config.json": {"word_embedding_dimension": self.config["hidden_size"], "pooling_mode": self.pooling},
            },
        )
        for place, (inputs, outputs) in enumerate(self.dense, 2):
            own = folder / folders.place_of(place, "Dense")
            sizes = {"in_features": inputs, "out_features": outputs, "bias": False}
            folders.write(own, {"config.json": sizes | {"activation_function": "torch.nn.modules.linear.Identity"}})
            safetensors.numpy.save_file(dict(_tensors({"linear.weight": (outputs, inputs)})), own / "model.safetensors")
        self.write_tokenizer(folder, cache)
        shapes = self.shapes()
        return self.write_weights(folder, shapes, lambda: _tensors(shapes))


def _tensors(shapes: Shapes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the weights one after the other. Every call yields the same."""
    generator = np.random.default_rng(7)
    for name, shape in shapes.items():
        values = SPREAD * generator.standard_normal(shape, dtype=np.float32)
        yield name, values + np.float32(len(shape) == 1 and name.endswith(".weight"))  # the weights of norms are about 1


# --- Weights ----------------------------------------------------------------------------------------------


def _safetensors(kind: type[np.generic]) -> Callable[[Path, Shapes, Tensors], Path]:
    def write(folder: Path, _shapes: Shapes, tensors: Tensors) -> Path:
        path = folder / "model.safetensors"
        safetensors.numpy.save_file({name: values.astype(kind) for name, values in tensors()}, path)
        return path

    return write


def _write_pickle(folder: Path, shapes: Shapes, tensors: Tensors) -> Path:
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


def _unigrams(count: int, kind: str) -> Callable[[Path, Path], None]:
    """Return a writer of a tokenizer with `count` tokens, for the class `kind`. The words of the passages are among them."""

    def write(folder: Path, _cache: Path) -> None:
        texts = [*passages("calibration", 128), *passages("scoring", 32)]
        words = dict.fromkeys(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text))
        pieces = [*((token, 0.0) for token in SPECIAL), ("▁", -9.0), *((f"▁{word}", -8.0) for word in words)]
        pieces += [(f"▁unused{place}", -20.0) for place in range(count - len(pieces))]
        made = Tokenizer(models.Unigram(pieces, SPECIAL.index("<unk>")))
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace()])
        made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
        made.save(str(folder / "tokenizer.json"))
        folders.write(folder, {"tokenizer_config.json": {"tokenizer_class": kind}})

    return write


# --- Models -----------------------------------------------------------------------------------------------

FAMILIES: Mapping[str, Mapping[str, Any]] = json.loads(USED.read_text())["families"]
"""The config.json of one model of each family."""
XLM_ROBERTA_TOKENS = 250_002

GTE_LARGE = LargeModel(
    name="gte-large",
    config=SIZES
    | {"model_type": "bert", "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12},
    max_length=512,
    pooling="mean",
    passages=32,
    write_tokenizer=_copy_default_tokenizer,
    write_weights=_safetensors(np.float16),
)
BGE_M3 = LargeModel(
    name="bge-m3",
    config=SIZES
    | {"model_type": "xlm-roberta", "vocab_size": XLM_ROBERTA_TOKENS, "max_position_embeddings": 8194, "type_vocab_size": 1}
    | {"pad_token_id": 1, "layer_norm_eps": 1e-05},
    max_length=8192,
    pooling="cls",
    passages=12,
    write_tokenizer=_unigrams(XLM_ROBERTA_TOKENS, "XLMRobertaTokenizer"),
    write_weights=_write_pickle,
)
QWEN3 = LargeModel(
    name="Qwen3-Embedding-0.6B",
    config=FAMILIES["qwen3"],
    max_length=32_768,
    pooling="lasttoken",
    passages=12,
    write_tokenizer=_unigrams(FAMILIES["qwen3"]["vocab_size"], "PreTrainedTokenizerFast"),
    write_weights=_safetensors(ml_dtypes.bfloat16),
)
GEMMA3 = LargeModel(
    name="embeddinggemma-300m",
    config=FAMILIES["gemma3_text"],
    max_length=2048,
    pooling="mean",
    passages=12,
    write_tokenizer=_unigrams(FAMILIES["gemma3_text"]["vocab_size"], "PreTrainedTokenizerFast"),
    write_weights=_safetensors(np.float32),
    dense=((768, 3072), (3072, 768)),
)
MODELS = {model.name: model for model in (GTE_LARGE, BGE_M3, QWEN3, GEMMA3)}
"""Models that are too large for a layer, by name, with the type of weights that each is published in."""
