"""Parts that both ways to run OpenVINO share: the quantized model, the tokenizer, the pooling."""

import numpy as np
import openvino
from tokenizers import Tokenizer

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def tokenizer(folder):
    """Cut at the model's limit, not padded."""
    found = Tokenizer.from_file(f"{folder}/tokenizer.json")
    found.no_padding()
    found.enable_truncation(256)
    return found


def compiled(folder, settings):
    """The int8 model that quantize_openvino.py wrote."""
    return openvino.Core().compile_model(f"{folder}/openvino/model.xml", "CPU", settings)


def padded(sequences):
    """Inputs by name, each (texts, longest)."""
    longest = max(map(len, sequences))
    mask = np.array([[1] * len(ids) + [0] * (longest - len(ids)) for ids in sequences], np.int64)
    ids = np.array([ids + [0] * (longest - len(ids)) for ids in sequences], np.int64)
    return dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))


def pooled(states, mask):
    """Mean over the tokens, then length 1."""
    vectors = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
