"""The encoder's operators against what this processor can do at most: a roofline.

Bounds and operators take turns in one run, and the shortest turn of each counts: a share says what a kernel loses, and not what a
neighbour takes. Within an operator's bound is only what it cannot do without: multiply-adds, or bytes read. Rounding, Gelu, softmax
and what ONNX Runtime does between two operators come on top, so no share reaches 1.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import encoder_operators
import numpy as np
import onnxruntime

from layers.model.graph import ENCODER, Graph
from layers.model.int8 import packed
from tests.layers.runtime.operators import layer

from . import bounds
from .bounds import CHAINED, STEPS, Level, Mix
from .effort import Effort
from .encoder import LENGTHS, sequences
from .models import INT8, ours
from .profiling import Node, profile
from .rounds import Pace, Turn, burst, interleaved
from .tables import Cell, Table

LINEAR = {"384x1152": (384, 1152, 0), "384x384": (384, 384, 0), "384x1536 gelu": (384, 1536, 1), "1536x384": (1536, 384, 0)}
"""The default model's linear layers: inputs, outputs, and whether a Gelu follows."""
HIDDEN, HEADS, LAYERS = 384, 12, 6
ROWS = (1, 4, 8, 32, 128)
TOKENS = (32, 128, 512)
COPIES = 16
"""At most so many copies of an operator make a graph, so that what a run of a graph takes besides them is of no note."""
COPIED_ROWS = 512
ROUNDS = 4
"""So many times the rounds that a table of medians takes: the least of them is looked for."""
PROFILED_RUNS = 8
SEED = 15
FLOAT = 4
"""Bytes of a number."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Measurements of the same rounds: seconds of the clock's chain, of each mix and of each level."""

    seconds: Mapping[str, float]
    mixes: Sequence[Mix]
    levels: Sequence[Level]

    @property
    def gigahertz(self) -> float:
        """The clock."""
        return STEPS * CHAINED / self.seconds[bounds.CHAIN] / 1e9

    def macs(self, mix: Mix) -> float:
        """Thousand millions of multiply-adds a second."""
        return STEPS * mix.macs / self.seconds[mix.name] / 1e9

    def reads(self, level: Level) -> float:
        """Gigabytes a second."""
        return level.read * level.times / self.seconds[level.name] / 1e9

    def reading(self, read: float, resident: float) -> tuple[float, str]:
        """Return the least microseconds that reading takes, of data of which as much as fits lies in the nearest levels.

        The level that it is named for is the nearest that holds all of it.
        """
        seconds, nearer = 0.0, 0.0
        for level in self.levels:
            share = (min(resident, level.holds) - min(resident, nearer)) / resident
            seconds += share * read / self.reads(level) / 1e9
            nearer = level.holds
            if resident <= nearer:
                return seconds * 1e6, f"reading {level.name}"
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Work:
    """The least work of an operator: multiply-adds of a mix, and bytes read out of `resident` bytes."""

    macs: float
    mix: Mix | None
    read: float
    resident: float

    def microseconds(self, found: Bounds) -> tuple[float, str]:
        """Return the bound, and what makes it."""
        multiplying = (self.macs / found.macs(self.mix) / 1e3 if self.mix else 0.0, "multiplying")
        return max(found.reading(self.read, self.resident), multiplying) if self.read else multiplying


def linear_work(rows: int, inputs: int, outputs: int, resident: float = 0) -> Work:
    """A linear layer reads each weight once; they stay where they are, or where all that is `resident` does."""
    weights = inputs * outputs
    touched = weights + rows * (inputs + outputs) * FLOAT
    return Work(rows * weights, bounds.int8_bound(), weights, max(resident, touched))


def attention_work(tokens: int) -> Work:
    """Scores and sums of values; the exponentials between them come on top."""
    return Work(2 * tokens * tokens * HIDDEN, bounds.float_bound(), 0, 0)


def add_norm_work(rows: int) -> Work:
    """Two inputs are read and one result is written, for which the same bandwidth is taken."""
    moved = 3 * rows * HIDDEN * FLOAT
    return Work(0, None, moved, moved)


@dataclass(frozen=True, slots=True)
class Case:
    """An operator at a size: its call, the copies of it in a call, and its work."""

    name: str
    rows: int
    call: Callable[[], object]
    copies: int
    work: Work


def tables(effort: Effort) -> Iterator[Table]:
    """The bounds, the operators by themselves, and those of whole texts."""
    mixes, levels = bounds.mixes(), bounds.levels()
    with ExitStack() as stack:
        cases = list(_cases(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
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
        chosen = [by_name[_case(shape, count)] for shape in LINEAR]
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


def _case(operator: str, rows: int) -> str:
    unit = "tokens" if operator == "Attention" else "row" if rows == 1 else "rows"
    return f"{'Linear ' if operator in LINEAR else ''}{operator}, {rows} {unit}"


def _cases(folder: Path) -> Iterator[Case]:
    """The operators at all sizes, each in a graph with inputs and weights of its own."""
    random = np.random.default_rng(SEED)

    def numbers(*shape: int) -> np.ndarray:
        return random.normal(0, 1, shape).astype(np.float32)

    for shape, (inputs, outputs, gelu) in LINEAR.items():
        weights, scales, bias, smoothing = layer(random, inputs, outputs)
        parts = {"weights": packed(weights), "scales": scales, "bias": bias, "smoothing": smoothing}
        for rows in ROWS:
            given = {"rows": numbers(1, rows, inputs), **parts}
            yield _made(folder, _case(shape, rows), rows, "Linear", given, linear_work(rows, inputs, outputs), gelu=gelu)
    for tokens in TOKENS:
        given = {"qkv": numbers(1, tokens, 3 * HIDDEN)}
        yield _made(folder, _case("Attention", tokens), tokens, "Attention", given, attention_work(tokens), heads=HEADS)
    for rows in TOKENS:
        given = {"a": numbers(1, rows, HIDDEN), "b": numbers(1, rows, HIDDEN), "gamma": numbers(HIDDEN), "beta": numbers(HIDDEN)}
        yield _made(folder, _case("AddNorm", rows), rows, "AddNorm", given, add_norm_work(rows), epsilon=1e-12)


def _made(
    folder: Path, name: str, rows: int, operator: str, given: Mapping[str, np.ndarray], work: Work, **attributes: float
) -> Case:
    """Make a graph of copies of an operator, and a call that runs it into memory that is there."""
    copies = max(1, min(COPIES, COPIED_ROWS // rows))
    graph = Graph()
    names = [graph.constant(part, values) for part, values in given.items()]
    results = [f"result{copy}" for copy in range(copies)]
    for result in results:
        graph.op(result, operator, *names, domain=ENCODER, **attributes)
        graph.output(result, ["any"] * 3)
    place = folder / name
    place.mkdir()
    graph.write(place / "graph.onnx", "weights")
    session = onnxruntime.InferenceSession(place / "graph.onnx", _options(), providers=["CPUExecutionProvider"])
    result = onnxruntime.OrtValue.ortvalue_from_numpy(session.run(results[:1], {})[0])
    binding = session.io_binding()
    for each in results:
        binding.bind_ortvalue_output(each, result)
    return Case(name, rows, partial(session.run_with_iobinding, binding), copies, work)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if "KERNELS" in os.environ:
        options.add_session_config_entry("encoder.kernels", os.environ["KERNELS"])  # as the handler does
    options.register_custom_ops_library(str(encoder_operators.LIBRARY))
    return options
