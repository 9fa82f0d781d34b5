"""Text to pooled vectors: tokenization.py (text → token ids), encoder.py (token ids → vectors), manifest.py (what the model is).

Law: knows nothing of AWS, HTTP or the cache. onnxruntime is imported in encoder.py alone, tokenizers in tokenization.py alone.
"""
