"""The model layer's builder: `python -m layers.model` turns a Sentence Transformers folder into the folder that the handler serves.

sources.py        where the files come from          configuration.py   JSON files, read without trust
specification.py  what they say the model is         modules.py         what they say comes after the encoder
transformer.py    what they say of the encoder       known_fields.py    every field: used, harmless or refused
architectures.py  families of encoders, a row each   weights.py         the checkpoint's tensors
tokenizer.py      the tokenizer's file               special_tokens.py  the tokens that its configuration names
networks.py       a model's graph, by either way:
encoder.py        the encoder, written               exported.py        the model's own ONNX file
floats.py         what numbers that file has         pickles.py         torch's files, read without running them
head.py           pooling and Dense layers           graph.py           a writer of ONNX graphs
precision.py      float32, float16, int8 weights     blocks.py          4-bit weights
calibration.py    activations, for int8 and 4 bits   corpus.py          passages to calibrate, to score
fidelity.py       how close the result comes         builder.py         all of it, in order
preview.py        which way a model would go, decided without its weights
"""
