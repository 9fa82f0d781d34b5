"""A model of bge-m3's shape with random weights in a pickle, and a process that builds it and tells what that took."""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from layers.model.architectures import Shape
from layers.model.builder import Order, build
from layers.model.configuration import Configuration
from layers.model.corpus import passages
from layers.model.sources import Source
from tests.large.measure import peak_bytes
from tests.layers.model import written_pickles

CONFIG = {
    "model_type": "xlm-roberta",
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "intermediate_size": 4096,
    "vocab_size": 250_002,
    "max_position_embeddings": 8194,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "layer_norm_eps": 1e-05,
}
SPREAD = 0.02
"""XLM-RoBERTa's own `initializer_range`."""
PASSAGES = 12
"""To score by: each takes two seconds and more."""
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def write(folder: Path) -> Path:
    """Write the model's folder: what bge-m3 has on the hub, of its shape and size."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "config.json": CONFIG,
        "sentence_bert_config.json": {"max_seq_length": 8192, "do_lower_case": False},
        "tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer"},
        "1_Pooling/config.json": {"word_embedding_dimension": CONFIG["hidden_size"], "pooling_mode_cls_token": True},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    _tokenizer().save(str(folder / "tokenizer.json"))
    _weights(folder / "pytorch_model.bin")
    return folder


def _tokenizer() -> Tokenizer:
    """A tokenizer of as many tokens, among them the words of the passages."""
    texts = [*passages("calibration", 128), *passages("scoring", PASSAGES)]
    words = dict.fromkeys(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text))
    pieces = [*((token, 0.0) for token in SPECIAL), ("▁", -9.0), *((f"▁{word}", -8.0) for word in words)]
    pieces += [(f"▁unused{place}", -20.0) for place in range(250_002 - len(pieces))]
    made = Tokenizer(models.Unigram(pieces, SPECIAL.index("<unk>")))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace()])
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return made


def _weights(path: Path) -> None:
    """Write the pickle, a tensor at a time."""
    shapes = Shape.read(Configuration("config.json", CONFIG)).tensors()
    opcodes = {}
    for key, (name, shape) in enumerate(shapes.items()):
        strides = tuple(int(np.prod(shape[place + 1 :])) for place in range(len(shape)))
        opcodes[name] = written_pickles.tensor("FloatStorage", shape, strides, 0, int(np.prod(shape)), str(key))
    generator = np.random.default_rng(7)
    with written_pickles.archive(path, written_pickles.dictionary(opcodes)) as add:
        for key, (name, shape) in enumerate(shapes.items()):
            values = SPREAD * generator.standard_normal(shape, dtype=np.float32)
            add(str(key), (values + np.float32(name.endswith("LayerNorm.weight"))).tobytes())


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - standard output is the figures


def main() -> None:
    """Build the folder that is named first into the one that is named second."""
    source, out = map(Path, sys.argv[1:])
    started = time.perf_counter()
    build(Order(Source(source, "bge-m3-shaped", "random"), out, "int8", None, 2, PASSAGES), _say)
    print(json.dumps({"seconds": time.perf_counter() - started, "bytes": peak_bytes()}))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
