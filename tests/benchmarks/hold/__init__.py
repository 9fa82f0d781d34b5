"""Hold what is measured back to AVX2 on a processor that has more: `ISA=avx2 make peers`, `ISA=avx2 python -m tests.benchmarks …`.

    setting.py     the setting ISA, and what each library needs
    copies.py      copies of packages in which CPUID traps, and the environment variables of a process that uses them
    cpuid.py       the CPUID instructions of a compiled library
    trap.c         the answer to them: the processor as it is, without what is beyond AVX2
    effect.py      holding this process, and checks that a process is held
    saturation.py  what ONNX Runtime computes, which shows the instructions that it uses

ONNX Runtime has no switch for its instructions. Other libraries have one, but not always for all of their parts. The figures are
not those of a processor with AVX2 alone: the clock, the caches and the units are still this processor's.
"""
