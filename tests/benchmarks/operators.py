"""The encoder's operators against what this processor can do at most: a roofline.

Bounds and operators take turns in one run, and the shortest turn of each counts: a share says what a kernel loses, and not what a
neighbour takes. Within an operator's bound is only what it cannot do without: multiply-adds, or bytes read. Rounding, Gelu, softmax
and what ONNX Runtime does between two operators come on top, so no share reaches 1.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from . import bounds, operator_cases
from .effort import Effort
from .encoder import LENGTHS, sequences
from .models import INT8, ours
from .operator_cases import LAYERS, LINEAR, ROWS, Case, case_name
from .profiling import Node, profile
from .roofline import Bounds, Work, add_norm_work, attention_work, linear_work
from .rounds import Pace, Turn, burst, interleaved
from .tables import Cell, Table

ROUNDS = 4
"""So many times the rounds that a table of medians takes: the least of them is looked for."""
PROFILED_RUNS = 8


def tables(effort: Effort) -> Iterator[Table]:
    """The bounds, the operators by themselves, and those of whole texts."""
    mixes, levels = bounds.mixes(), bounds.levels()
    with ExitStack() as stack:
        cases = list(operator_cases.cases(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        encoder = ours(INT8, 1)
        calls: dict[str, Callable[[], object]] = {bounds.CHAIN: bounds.chain()}
        calls |= {mix.name: bounds.multiplying(mix) for mix in mixes}
        calls |= {level.name: bounds.reading(level) for level in levels}
        calls |= {case.name: case.call for case in cases}
        calls |= {_text(tokens): partial(encoder.encode, sequences(tokens, 1)) for tokens in LENGTHS}
        turns: dict[str, Turn] = {name: burst(call, effort.burst, time.thread_time) for name, call in calls.items()}
        timings = interleaved(turns, Pace(effort.row.rounds * ROUNDS, effort.row.seconds * ROUNDS))
    least = {name: min(seconds) for name, seconds in timings.seconds.items()}
    found = Bounds(least, mixes, levels)
    yield _mixes(found)
    yield _levels(found)
    yield _linear(found, cases)
    yield _operators(found, cases)
    yield _texts(found, effort.row.rounds * PROFILED_RUNS)


def _text(tokens: int) -> str:
    return f"a text of {tokens} tokens"


def _mixes(found: Bounds) -> Table:
    return Table(
        "Bounds: multiply-adds by mix of instructions",
        [
            "in registers, one thread; those that the kernels in use are made of are the bounds below:",
            f"{bounds.int8_bound().name}; {bounds.float_bound().name}",
        ],
        {"mix": "s", "MAC/cycle": ".1f", "GMAC/s": ".1f", "GHz": ".2f"},
        [(mix.name, found.macs(mix) / found.gigahertz, found.macs(mix), found.gigahertz) for mix in found.mixes],
    )


def _levels(found: Bounds) -> Table:
    return Table(
        "Bounds: reading by level",
        ["so many KB are read over and over, one thread"],
        {"level": "s", "KB": "d", "GB/s": ".1f", "bytes/cycle": ".1f"},
        [(level.name, level.read >> 10, found.reads(level), found.reads(level) / found.gigahertz) for level in found.levels],
    )


def _linear(found: Bounds, cases: Sequence[Case]) -> Table:
    by_name = {case.name: case for case in cases}
    rows: list[tuple[Cell, ...]] = []
    for count in ROWS:
        chosen = [by_name[case_name(shape, count)] for shape in LINEAR]
        rates = [case.work.macs * case.copies / found.seconds[case.name] / 1e9 for case in chosen]
        roof = max(case.work.macs / case.work.microseconds(found)[0] / 1e3 for case in chosen)
        rows.append((count, *rates, roof))
    return Table(
        "Linear: GMAC/s by rows",
        ["each weight is used once a row: so many multiply-adds to a byte of weights; bound: the roof over them"],
        {"rows": "d"} | dict.fromkeys((*LINEAR, "bound"), ".1f"),
        rows,
    )


def _operators(found: Bounds, cases: Sequence[Case]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for case in cases:
        taken = found.seconds[case.name] / case.copies * 1e6
        bound, by = case.work.microseconds(found)
        rows.append((case.name, taken, case.work.macs / taken / 1e3, bound, bound / taken, by))
    return Table(
        "Operators: share of the bound",
        [
            "through ONNX Runtime, one thread, CPU time, the shortest turn of each;",
            "bound: for what the operator cannot do without, measured in the same rounds",
        ],
        {"operator": "s", "µs": ".1f", "GMAC/s": ".1f", "bound µs": ".1f", "of its bound": ".2f", "bound by": "s"},
        rows,
    )


def _texts(found: Bounds, runs: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for tokens in LENGTHS:
        whole = found.seconds[_text(tokens)] * 1e6
        taken: dict[str, float] = {}
        bound: dict[str, float] = {}
        for node in profile(tokens, runs):
            name, work = _node(node, tokens)
            taken[name] = taken.get(name, 0) + node.microseconds
            bound[name] = bound.get(name, 0) + (work.microseconds(found)[0] if work else 0)
        taken[BETWEEN], bound[BETWEEN] = max(0.0, whole - sum(taken.values())), 0
        rows += [
            (f"{tokens} tokens: {name}", taken[name], taken[name] / whole, bound[name], _share(bound[name], taken[name]))
            for name in sorted(taken, key=lambda name: -taken[name])
        ]
        rows.append((f"{tokens} tokens: all", whole, 1.0, sum(bound.values()), sum(bound.values()) / whole))
    return Table(
        "Operators of a text: where the time goes",
        [
            "one thread; operators: the shortest times of each in ONNX Runtime's profile (whole microseconds);",
            f"all: CPU time of the encoder; {BETWEEN}: what is left; a bound of 0: none is known;",
            "weights are read from where all of the model lies",
        ],
        {"operator": "s", "µs": ".0f", "of the text": ".3f", "bound µs": ".0f", "of its bound": ".2f"},
        rows,
    )


BETWEEN, OTHERS = "between operators", "other operators"


def _share(bound: float, taken: float) -> float:
    return bound / taken if taken else 0.0


def _node(node: Node, tokens: int) -> tuple[str, Work | None]:
    """Name a node of the graph as its row is called, and what it has to do."""
    if node.kind == "Linear":
        inputs, outputs = node.inputs[0][-1], node.outputs[0][-1]
        return f"Linear {inputs}x{outputs}", linear_work(tokens, inputs, outputs, resident=MODEL_BYTES)
    if node.kind == "Attention":
        return "Attention", attention_work(tokens)
    if node.kind == "AddNorm":
        return "AddNorm", add_norm_work(tokens)
    return OTHERS, None


MODEL_BYTES = LAYERS * sum(inputs * outputs for inputs, outputs, _ in LINEAR.values())
"""The weights that a text passes: those of its last layer are read again only after all others."""
