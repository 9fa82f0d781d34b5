"""Operators at all sizes, each in a graph with inputs and weights of its own, and the least work of each."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import encoder_operators
import numpy as np
import onnxruntime

from layers.model.graph import ENCODER, Graph
from layers.model.int8 import packed
from tests.layers.runtime.operators import layer

from .roofline import HIDDEN, Work, add_norm_work, attention_work, linear_work, moving_work, product_work

LINEAR = {"384x1152": (384, 1152, 0), "384x384": (384, 384, 0), "384x1536 gelu": (384, 1536, 1), "1536x384": (1536, 384, 0)}
"""The default model's linear layers: inputs, outputs, and whether a Gelu follows."""
HEADS, LAYERS = 12, 6
WIDE, WIDE_HEADS, GATED, WINDOW = 768, 12, 1152, 64
"""The sizes of ModernBERT base: of a token, its number of heads, its gated layer, and the window of most layers."""
GROUP = 4
"""The heads that share their keys, where heads are grouped."""
DENSE = {"768x3072": (768, 3072), "3072x768": (3072, 768)}
"""EmbeddingGemma's two linear layers after pooling: inputs and outputs."""
ROWS = (1, 4, 8, 32, 128)
TOKENS = (32, 128, 512)
COPIES = 16
"""At most so many copies of an operator make a graph, so that what a run of a graph takes besides them is of no note."""
COPIED_ROWS = 512
DENSE_ROWS = (1, 8)
SEED = 15


@dataclass(frozen=True, slots=True)
class Case:
    """An operator at a size: its call, the copies of it in a call, and its work."""

    name: str
    rows: int
    call: Callable[[], object]
    copies: int
    work: Work


def case_name(operator: str, rows: int) -> str:
    """Name a case by its operator, or by the shape of a linear layer, and its rows."""
    unit = "tokens" if operator == "Attention" else "row" if rows == 1 else "rows"
    return f"{'Linear ' if operator in LINEAR else ''}{operator}, {rows} {unit}"


def cases(folder: Path) -> Iterator[Case]:
    """The operators at all sizes, each in a graph with inputs and weights of its own."""
    random = np.random.default_rng(SEED)

    def numbers(*shape: int) -> np.ndarray:
        return random.normal(0, 1, shape).astype(np.float32)

    for shape, (inputs, outputs, gelu) in LINEAR.items():
        weights, scales, bias, smoothing = layer(random, inputs, outputs)
        parts = {"weights": packed(weights), "scales": scales, "bias": bias, "smoothing": smoothing}
        for rows in ROWS:
            given = {"rows": numbers(1, rows, inputs), **parts}
            yield _made(folder, case_name(shape, rows), rows, "Linear", given, linear_work(rows, inputs, outputs), gelu=gelu)
    for tokens in TOKENS:
        given = {"qkv": numbers(1, tokens, 3 * HIDDEN)}
        yield _made(folder, case_name("Attention", tokens), tokens, "Attention", given, attention_work(tokens), heads=HEADS)
    for rows in TOKENS:
        given = {"a": numbers(1, rows, HIDDEN), "b": numbers(1, rows, HIDDEN), "gamma": numbers(HIDDEN), "beta": numbers(HIDDEN)}
        yield _made(folder, case_name("AddNorm", rows), rows, "AddNorm", given, add_norm_work(rows), epsilon=1e-12)
    yield from _further_cases(folder, numbers)


def _further_cases(folder: Path, numbers: Callable[..., np.ndarray]) -> Iterator[Case]:
    """The operators and attributes that families beyond BERT need."""
    yield from _attention_cases(folder, numbers)
    gammas = {"query_gamma": numbers(WIDE // WIDE_HEADS), "key_gamma": numbers(WIDE // WIDE_HEADS)}
    for rows in TOKENS:
        rotated = {"qkv": numbers(1, rows, 3 * WIDE), "table": numbers(rows, 2, WIDE // WIDE_HEADS // 2)}
        moved = moving_work(2 * rows * 3 * WIDE)
        yield _made(folder, case_name("Rotate", rows), rows, "Rotate", rotated, moved, heads=WIDE_HEADS)
        name = case_name("Rotate norms", rows)
        yield _made(folder, name, rows, "Rotate", {**rotated, **gammas}, moved, heads=WIDE_HEADS, epsilon=1e-6)
        normed = {"values": numbers(1, rows, WIDE), "gamma": numbers(WIDE)}
        for centered, kind in enumerate(("Norm rms", "Norm")):
            work = moving_work(2 * rows * WIDE)
            yield _made(folder, case_name(kind, rows), rows, "Norm", normed, work, epsilon=1e-5, centered=centered)
        gated = {"values": numbers(1, rows, 2 * GATED)}
        for activation, kind in enumerate(("Gate gelu", "Gate silu", "Gate gelu by tanh")):
            yield _made(folder, case_name(kind, rows), rows, "Gate", gated, moving_work(3 * rows * GATED), activation=activation)
    for shape, (inputs, outputs) in DENSE.items():
        weights = numbers(inputs, outputs)
        for rows in DENSE_ROWS:
            given = {"values": numbers(1, rows, inputs), "weights": weights}
            name = case_name(f"Product {shape}", rows)
            yield _made(folder, name, rows, "Product", given, product_work(rows, inputs, outputs))


def _attention_cases(folder: Path, numbers: Callable[..., np.ndarray]) -> Iterator[Case]:
    slopes = {"bias": None, "slopes": np.exp2(-np.arange(WIDE_HEADS, dtype=np.float32))}
    for tokens in TOKENS:
        qkv = {"qkv": numbers(1, tokens, 3 * WIDE)}
        grouped = {"qkv": numbers(1, tokens, WIDE + 2 * WIDE // GROUP)}
        work, windowed = attention_work(tokens, WIDE), attention_work(tokens, WIDE, WINDOW)
        causal = attention_work(tokens, WIDE, causal=True)
        rows: list[tuple[str, Mapping[str, np.ndarray | None], Work, dict[str, float]]] = [
            ("window", qkv, windowed, {"window": WINDOW}),
            ("causal, grouped", grouped, causal, {"causal": 1, "key_value_heads": WIDE_HEADS // GROUP}),
            ("slopes", {**qkv, **slopes}, work, {}),
        ]
        for kind, given, least, attributes in rows:
            name = f"Attention {kind}, {tokens} tokens"
            yield _made(folder, name, tokens, "Attention", given, least, heads=WIDE_HEADS, **attributes)


def _made(
    folder: Path, name: str, rows: int, operator: str, given: Mapping[str, np.ndarray | None], work: Work, **attributes: float
) -> Case:
    """Make a graph of copies of an operator, and a call that runs it into memory that is there."""
    copies = max(1, min(COPIES, COPIED_ROWS // rows))
    graph = Graph()
    names = ["" if values is None else graph.constant(part, values) for part, values in given.items()]
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
