"""Quantize the ONNX export with NNCF, activations included, as its documentation says for transformers.

python quantize_openvino.py MODEL_FOLDER TEXTS.json
"""

import json
import sys
from pathlib import Path

import nncf
import openvino
from openvino_model import padded, tokenizer

folder, texts = sys.argv[1:]
words = tokenizer(folder)
samples = [padded([words.encode(text).ids]) for text in json.loads(Path(texts).read_text())]
model = openvino.convert_model(f"{folder}/onnx/model.onnx")
quantized = nncf.quantize(model, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples))
openvino.save_model(quantized, f"{folder}/openvino/model.xml")
