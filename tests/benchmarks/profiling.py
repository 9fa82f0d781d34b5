"""Profile the operators of a text one by one, with ONNX Runtime's own profile of our encoder on one thread."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

from handler.embedding.cpu import kernel_class
from handler.embedding.manifest import GRAPH, Manifest
from handler.embedding.session import session_options

from .encoder import sequences
from .models import INT8

KERNEL = "_kernel_time"


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of the graph: the shapes of its inputs and outputs, and the microseconds of its shortest run."""

    kind: str
    inputs: Sequence[Sequence[int]]
    outputs: Sequence[Sequence[int]]
    microseconds: float


@cache
def profile(tokens: int, runs: int) -> list[Node]:
    """Run a text of so many tokens so often, and return its operators with their shortest times.

    The profiler's clock goes on while another process has the core, so a median would tell of the neighbours.
    """
    options = session_options(Manifest.read(INT8), kernel_class(), kernels=os.environ.get("KERNELS", ""))
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as scratch:
        options.profile_file_prefix = str(Path(scratch, "profile"))
        session = onnxruntime.InferenceSession(INT8 / GRAPH, options, providers=["CPUExecutionProvider"])
        for _ in range(runs):
            session.run(["pooled"], {"input_ids": sequences(tokens, 1)[0][np.newaxis]})
        events = json.loads(Path(session.end_profiling()).read_bytes())
    nodes: dict[str, Node] = {}
    for event in events:
        name, about = event["name"], event["args"]
        if name.endswith(KERNEL):
            node = Node(about["op_name"], _shapes(about["input_type_shape"]), _shapes(about["output_type_shape"]), event["dur"])
            nodes[name] = min(nodes.get(name, node), node, key=lambda one: one.microseconds)
    return list(nodes.values())


def _shapes(described: Sequence[dict[str, list[int]]]) -> list[list[int]]:
    return [shape for each in described for shape in each.values()]
