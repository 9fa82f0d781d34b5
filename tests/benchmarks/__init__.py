"""Measure speed next to a baseline: `make bench`, or `python -m tests.benchmarks [NAME …] [--quick]`.

    operators.py     the encoder's operators against the bounds of this processor, and where a text's time goes
    bounds.py        those bounds, found out by bounds.c
    compiling.py     compiles C files of the benchmarks
    profiling.py     a text's operators one by one
    encoder.py       token ids to vectors: ours against the stock int8 graph and against ours in float32
    sharing.py       one text on all cores, against as many processes with a text each
    one_token.py     a model that pools its first token: with the others left out of the last layer, and with all
    precisions.py    int8, 4 bits, float16 and float32: size, speed, fidelity; int8 without treatment beside them
    families.py      each family of encoders on tiny random models: cosines to the official library
    family_speeds.py each family at a real model's shape: speed against its own ONNX file in stock int8
    small_vectors.py int8 and binary vectors: bytes, and what they find of the nearest passages
    corpus.py        1,000 passages of mixed lengths: our service against stock int8 in padded batches
    request.py       one warm request through the handler, and its parts
    steps.py         how long each function of a request is at work itself
    cache.py         hits and misses against encoding; what the codec loses
    search.py        `make search` in a file of a million vectors: seconds and memory
    retrieval.py     the questions that find their answer, by chunks, vectors and precision (tests/retrieval has the corpus)
    cold.py          a whole process, from its start to its first vector, and its steps
    static.py        models that are a table of vectors: the same, and token ids to vectors
    hold/            ISA=avx2: processes held back to AVX2 on a processor that has more
    rounds.py        the measuring: contenders take turns within a run, ratios are of turns of the same round
    effort.py        how long to measure: the full run and the quick one
    stock.py         the baseline: the plainest graph of the same weights, quantized by ONNX Runtime's own tool
    padded.py        how that baseline is commonly served: padded batches, all threads in one run
    models.py        the models measured, checked against each other
    first_vector.py  what the processes of cold.py do
    tables.py        the tables, for a terminal
    results.py       files of figures, with a section for each class of processor
    comparison.py    new figures against those committed for the same class
    readme.py        the tables of README.md and layers/model/README.md, and the committed plots, made of the figures committed
    cost.py          `make cost`: what a deployment costs, in the tables of cost_tables.py
    bill.py          dollars for requests and for a corpus in bulk, at the speeds of speeds.py; hosted.py has the APIs' list prices
    index_cost.py    dollars for the index of a search
    template.py      the resources and defaults of template.yaml that cost something
    machine.py       the machine measured on, and the class of its processor

To renew the figures committed, on a machine with nothing else to do:

    make bench cold peers models             measure; build/benchmarks.json, build/cold.json, build/peers.json, build/models.json
    python -m tests.benchmarks.results       take them into results.json, peers/results.json and models.json, in the class's section
    python -m tests.benchmarks.readme        make the pages' tables and the plots of them

Nothing here fails because of a time. The models come from `make build/model/manifest.json build/model-fp32/manifest.json`.
"""
