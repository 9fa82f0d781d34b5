"""The model layer's builder: `python -m layers.model` turns a Sentence Transformers folder into the folder that the handler serves.

sources.py        where the files come from          downloads.py       which of them are needed
configuration.py  JSON files, read without trust     specification.py   what they say the model is
overrides.py      what a user sets instead           known_fields.py    every field: used, harmless or refused
modules.py        what they say of the modules       steps.py           the modules around pooling
transformer.py    what they say of the encoder       architectures.py   families of encoders, a row each
tokenizer.py      the tokenizer's file               word_pieces.py     the tokenizer of a vocab.txt
special_tokens.py the tokens that they name          weights.py         the checkpoint's tensors
networks.py       a model's graph, by either way:    pickles.py         torch's files, read without running them
encoder.py        the encoder, written               exported.py        the model's own ONNX file
onnx_files.py     that file and its data             own_inputs.py      what its inputs are given
floats.py         what numbers it has                graph.py           a writer of ONNX graphs
head.py           the modules after the encoder      pooling.py         the tokens' vectors to one
activations.py    activation functions, by name
precision.py      float32, float16, int8 weights     blocks.py          4-bit weights
calibration.py    activations, for int8 and 4 bits   corpus.py          passages to calibrate, to score
fidelity.py       how close the result comes         builder.py         all of it, in order
preview.py        which way a model would go, decided without its weights
"""
