"""The families of encoders that the builder writes from their weights. A family is a row of traits.

traits.py      the traits, and what they are if a row does not say
spans.py       which tokens each layer's attention sees, and its positions there
bert.py        BERT, RoBERTa, MPNet, DistilBERT, ELECTRA: a norm after each block, learned positions

The table of rows by the model_type of config.json is layers/model/architectures.py.
"""
