"""The parts of the roofline: the bounds are bounds, and the work is counted right."""

from pathlib import Path

import pytest

from . import bounds
from .bounds import Level, Mix
from .compiling import compiled
from .machine import flags
from .roofline import Bounds, Work, add_norm_work, attention_work, linear_work, product_work

MIX = Mix("a mix", "function", "instructions", macs=10)
LEVELS = [Level("L1", 1000, 500), Level("L2", 10_000, 5000), Level("memory", float("inf"), 20_000)]
SECONDS = {"chain": bounds.STEPS * 64 / 2e9, "a mix": bounds.STEPS * 10 / 50e9} | {
    level.name: level.read * level.times / bandwidth for level, bandwidth in zip(LEVELS, (100e9, 10e9, 1e9), strict=True)
}
FOUND = Bounds(SECONDS, [MIX], LEVELS)


def test_rates_come_out_as_they_were_put_in() -> None:
    """2 GHz, 50 GMAC/s and 100, 10 and 1 GB/s."""
    assert FOUND.gigahertz == pytest.approx(2)
    assert FOUND.macs(MIX) == pytest.approx(50)
    assert [FOUND.reads(level) for level in LEVELS] == pytest.approx([100, 10, 1])


def test_the_bound_is_the_longer_of_multiplying_and_reading() -> None:
    """A million multiply-adds take 20 µs; 1,000 bytes of the first cache take 0.01 µs, and a million of memory nearly 1 ms."""
    memory = (1000 / 100e9 + 9000 / 10e9 + 990_000 / 1e9) * 1e6
    for work, microseconds, what in (
        (Work(1e6, MIX, 1000, 1000), 20, "multiplying"),
        (Work(1e6, MIX, 0, 0), 20, "multiplying"),
        (Work(1e6, MIX, 1e6, 1e6), memory, "reading memory"),
        (Work(0, None, 500, 500), 0.005, "reading L1"),
    ):
        bound, by = work.microseconds(FOUND)
        assert bound == pytest.approx(microseconds)
        assert by == what


def test_the_work_of_operators_is_counted_by_hand() -> None:
    """Three rows of 384 numbers to 1,152; a text of 10 tokens; 10 rows of sums and norms."""
    linear = linear_work(3, 384, 1152)
    assert (linear.macs, linear.read, linear.resident) == (3 * 442_368, 442_368, 442_368 + 3 * 1536 * 4)
    assert attention_work(10).macs == 2 * 10 * 10 * 384
    assert add_norm_work(10).read == 3 * 10 * 384 * 4
    assert product_work(3, 20, 30).macs == 3 * 20 * 30
    assert product_work(3, 20, 30).read == 20 * 30 * 4


def test_only_the_keys_that_a_query_sees_are_counted() -> None:
    """Five tokens: with a window of 1 they see 2, 3, 3, 3 and 2 keys, in causal order 1 to 5, with both 1, 2, 2, 2 and 2."""
    assert attention_work(5, 8).macs == 2 * 25 * 8
    assert attention_work(5, 8, 1).macs == 2 * 13 * 8
    assert attention_work(5, 8, causal=True).macs == 2 * 15 * 8
    assert attention_work(5, 8, 1, causal=True).macs == 2 * 9 * 8
    assert attention_work(5, 8, 100).macs == attention_work(5, 8).macs


def test_every_mix_that_the_processor_has_can_be_called_and_so_can_every_level() -> None:
    """With the project's own compiler; what is not there is not called, since it would end the process."""
    assert bounds.mixes()
    assert bounds.int8_bound() in bounds.mixes()
    assert bounds.float_bound() in bounds.mixes()
    for call in (bounds.chain(), *map(bounds.multiplying, bounds.mixes())):
        call()
    levels = bounds.levels()
    assert [level.read for level in levels] == sorted({level.read for level in levels})
    bounds.reading(levels[0])()


def test_the_bound_is_of_the_kernels_that_a_setting_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with faster instructions is no reason to blame kernels that do not use them."""
    if "avx2" not in flags():
        pytest.skip("this processor has no AVX2")
    monkeypatch.setenv("KERNELS", "avx2")
    assert bounds.int8_bound().function == "maddubs_by_four"
    assert bounds.float_bound().function == "fma_256"


INSTRUCTIONS = {
    "x86_64": {
        "maddubs_by_four": {"vpmaddubsw": 16, "vpaddw": 12, "vpmaddwd": 4, "vpaddd": 4},
        "maddubs": {"vpmaddubsw": 8, "vpmaddwd": 8, "vpaddd": 8, "vpsignb": 0},
        "maddubs_signed": {"vpmaddubsw": 8, "vpmaddwd": 8, "vpaddd": 8, "vpsignb": 8, "vpabsb": 2},
        "madd_16": {"vpmaddwd": 8, "vpaddd": 8},
        "dpbusd_256": {"vpdpbusd": 9},
        "dpbusd_512": {"vpdpbusd": 16},
        "fma_256": {"vfmadd231ps": 8},
        "fma_512": {"vfmadd231ps": 16},
    },
    "arm64": {"sdot": {"sdot": 16}, "smmla": {"smmla": 16}, "fma_128": {"fmla": 16}},
}
"""Of one step of a mix, by machine and function."""


@pytest.mark.parametrize("machine", INSTRUCTIONS)
def test_a_step_of_a_mix_is_the_instructions_that_its_name_says(machine: str, tmp_path: Path) -> None:
    """On any machine: the compiler neither drops what is measured, nor moves it out of the loop, nor keeps sums in memory."""
    text = compiled(bounds.SOURCE, tmp_path / "bounds.s", machine, "Linux", "-S", "-Wno-unused-command-line-argument").read_text()
    for function, expected in INSTRUCTIONS[machine].items():
        body = text.split(f"\n{function}:")[1].split(".Lfunc_end")[0]
        assert {name: body.split().count(name) for name in expected} == expected
        (mix,) = (mix for mix in (*bounds.INT8, *bounds.FLOAT) if mix.function == function)
        assert mix.macs % max(expected.values()) == 0
