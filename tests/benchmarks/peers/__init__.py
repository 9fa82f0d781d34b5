"""Side by side with other ways to serve the same model: `make peers`.

    __main__.py   turns, tables
    contender.py  one of them, in a process and an environment of its own
    scripts/      what each of them runs: its own library, loaded as its documentation says; serving.py is the loop they share
    requirements/ the environment of each, pinned

All have the same weights, the same texts and the same threads; ISA=avx2 holds all of them back to AVX2 (tests/benchmarks/hold). The
environments come to 6 GB, so this is no part of `make test`.
"""
