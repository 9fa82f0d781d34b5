"""Texts to pooled vectors.

    manifest.py      the description of a model folder
    tokenization.py  texts → token ids
    truncation.py    the tokens that are kept of a long text
    encoder.py       token ids → pooled vectors
    pairs.py         two texts → the tokens of the pair
    cross_encoder.py the tokens of pairs → scores
    runner.py        a graph → runs, several at the same time
    session.py       a graph → a session of ONNX Runtime
    cpu.py           the kind of CPU

Law: knows nothing of AWS, HTTP or the cache. Only session.py imports onnxruntime; only tokenization.py and truncation.py import
tokenizers.
"""
