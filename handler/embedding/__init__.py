"""Texts to pooled vectors.

    manifest.py      the description of a model folder
    tokenization.py  texts → token ids
    tokenization_limits.py  the time and the characters that a call of the tokenizer may take
    truncation.py    the tokens that are kept of a long text
    input_checks.py  the refusal of inputs that are not Unicode, or too long
    encoders.py      the encoder that a manifest names
    encoder.py       token ids → pooled vectors, by a graph
    pairs.py         two texts → the tokens of the pair
    cross_encoder.py the tokens of pairs → scores, by a graph
    runner.py        a graph → runs, several at the same time
    session.py       a graph → a session of ONNX Runtime
    static_encoder.py  token ids → pooled vectors, by a table of a row for each token
    results.py       the results of a call, or the error that says what is missing
    cpu.py           the kind of CPU

Law: knows nothing of AWS, HTTP or the cache. Only session.py imports onnxruntime; only tokenization.py and truncation.py import
tokenizers.
"""
