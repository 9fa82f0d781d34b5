"""The families of encoders that the builder writes from their weights. A family is a row of traits.

traits.py      the traits, and what they are if a row does not say
spans.py       which tokens each layer's attention sees, and its positions there
bert.py        BERT, RoBERTa, MPNet, DistilBERT, ELECTRA: a norm after each block, learned positions
nomic.py       NomicBERT: rotary positions, gated feed-forward blocks
gte.py         GTE: the same with other names, biases and scaling
jina.py        JinaBERT v2: ALiBi
decoders.py    Qwen 2 and 3, EuroBERT: a norm before each block, RMSNorm, grouped heads
gemma.py       Gemma 3: norms before and inside each block
modernbert.py  ModernBERT: a norm before each block, windows

The table of rows by the model_type of config.json is layers/model/architectures.py.
"""
