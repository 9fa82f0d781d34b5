"""Write a model folder for the others: the official library's ONNX export and its int8 form for AVX-512 VNNI, and CTranslate2's.

python export.py SENTENCE_TRANSFORMERS_FOLDER OUT
"""

import sys

import ctranslate2
from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

source, out = sys.argv[1:]
exported = {"export": True, "provider": "CPUExecutionProvider"}
model = SentenceTransformer(source, backend="onnx", device="cpu", model_kwargs=exported)
model.save_pretrained(out)
export_dynamic_quantized_onnx_model(model, "avx512_vnni", out)
ctranslate2.converters.TransformersConverter(source).convert(f"{out}/ctranslate2", quantization="int8", force=True)
