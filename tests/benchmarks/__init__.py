"""`make bench`, or `python -m tests.benchmarks [encoder] [corpus] [request] [cache] [cold] [--quick]`: how fast, and against what.

    encoder.py       token ids to vectors: ours against the stock int8 graph and against ours in float32
    corpus.py        1,000 passages of mixed lengths: our service against stock int8 in padded batches
    request.py       one warm request through the handler, and its parts
    steps.py         how long each function of a request is at work itself
    cache.py         hits and misses against encoding; what the codec loses
    cold.py          a whole process, from its start to its first vector, and its steps
    rounds.py        the measuring: contenders take turns within a run, ratios are of turns of the same round
    effort.py        how long to measure: the full run and the quick one
    stock.py         the baseline: the plainest graph of the same weights, quantized by ONNX Runtime's own tool
    padded.py        how that baseline is commonly served: padded batches, all threads in one run
    models.py        the models measured, checked against each other
    first_vector.py  what the processes of cold.py do
    tables.py        the tables, for a terminal and for build/benchmarks.json
    machine.py       what was measured on

Nothing here fails because of a time. The models come from `make build/model/manifest.json build/model-fp32/manifest.json`.
"""
