"""The layout of int8 weights, and the one by which a model is recognised.

How weights lie in a file is chosen for the speed of the kernels, and decides no vector. A cache must survive a change of it, so a
model's fingerprint is taken over its files as they would be in one layout that never changes.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from handler.embedding.manifest import GRAPH, WEIGHTS, sha256
from layers.model.graph import ENCODER, Graph
from layers.runtime.operators import GROUP, PANEL, ZERO_WEIGHT

REFERENCE_PANEL = 64
"""The panel of the first layout that was published. It stays, or every cached vector would be computed anew."""


def in_reference_layout(weights: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay out packed weights in panels of REFERENCE_PANEL outputs: (out / 64, blocks, block / GROUP, 64, GROUP)."""
    panels, blocks, groups, _, _ = weights.shape
    each = REFERENCE_PANEL // PANEL
    whole = np.full((-(-panels // each) * each, blocks, groups, PANEL, GROUP), ZERO_WEIGHT, np.uint8)
    whole[:panels] = weights
    parts = whole.reshape(-1, each, blocks, groups, PANEL, GROUP).transpose(0, 2, 3, 1, 4, 5)
    return np.ascontiguousarray(parts).reshape(-1, blocks, groups, REFERENCE_PANEL, GROUP)


def reference_digests(folder: Path, graph: onnx.ModelProto) -> dict[str, str]:
    """Return the sha256 that the files of a model folder would have in the reference layout; nothing if none of them is laid out.

    `graph` is the folder's graph without its weights.
    """
    if not any(node.domain == ENCODER and node.op_type == "Linear" for node in graph.graph.node):
        return {}
    written = Graph.read(folder / GRAPH)
    written.change_constants("Linear", 1, in_reference_layout)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        written.write(Path(scratch, GRAPH), WEIGHTS)
        return {name: sha256(Path(scratch), name) for name in (GRAPH, WEIGHTS)}
