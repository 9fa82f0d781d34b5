"""Build models for the handler: `python -m layers.model` turns a Sentence Transformers folder into the folder that is served.

Order of work
builder.py           all steps, in order
preview.py           the same decisions, without weights

Files of the model
sources.py           find the files, wherever they are
packages.py          models that are Python packages
hub.py               the Hugging Face hub
s3.py                S3: download models, upload built ones
downloads.py         which files of a repository are needed

Description of the model
specification.py     all configuration files together
configuration.py     one JSON file, read without trusting it
known_fields.py      every field: used, harmless or refused
overrides.py         settings that replace what files say
transformer.py       the Transformer module's files
modules.py           the list of modules, and Pooling
cross_encoders.py    models that score pairs of texts
module_types.py      the other modules
architectures.py     the table of families of encoders; the sizes of one
families/            the rows of that table, and their traits
static.py            models that are a table of vectors

Tokenizer
tokenizer.py         the tokenizer of tokenizer.json
word_pieces.py       the tokenizer of a vocab.txt
special_tokens.py    tokens that configuration files name

Graph
networks.py          a model's graph, made in one of two ways
weights.py           the tensors of a checkpoint
pickles.py           pickled tensors, read without running code
encoder.py           way 1: the encoder, written from its weights
positions.py         learned positions
standard_attention.py  attention with ONNX's own operators
exported.py          way 2: the encoder in the model's own ONNX file
onnx_files.py        that file, and the files of its tensors
onnx_inputs.py       its inputs
onnx_numbers.py      its types of numbers
head.py              the modules after the encoder
pooling.py           Pooling
needed_tokens.py     the tokens that the last layer computes
classifier.py        the classifier of a cross-encoder, in place of modules
activations.py       activation functions
graph.py             a writer of ONNX graphs
reference_layout.py  the layout of weights for the fingerprint

Precision
precision.py         the table of precisions; float32, float16
int8.py              8-bit weights
int4.py              4-bit weights
calibration.py       inputs of linear layers, for int8 and int4
corpus.py            passages for calibration and scoring
samples.py           the sequences with which a built model is measured
fidelity.py          how close vectors and scores are to those of float32
ranges.py            ranges of dimensions, for int8 vectors
"""
