"""The model layer's builder: `python -m layers.model` turns a Sentence Transformers folder into the folder that the handler serves.

sources.py        where the files come from          specification.py  what the configuration files say
weights.py        the checkpoint's tensors           bert.py           the encoder as a graph
graph.py          a writer of ONNX graphs            precision.py      float32 and int8 weights
calibration.py    activations, for int8              corpus.py         passages to calibrate and score on
fidelity.py       how close the result comes         builder.py        all of it, in order
"""
