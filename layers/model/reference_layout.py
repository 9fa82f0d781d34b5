"""The reference layout of int8 models, over which a model's fingerprint is computed.

The layout of weights in a file is chosen for the speed of the kernels, and changes no vector. The same is true of the choice of the
tokens that the last layer computes, if every operator is portable. Cached vectors must stay valid when these change. So the
fingerprint is computed over the files as they would be in a layout that never changes, for a graph that computes all tokens.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from handler.embedding.manifest import GRAPH, WEIGHTS, sha256
from layers.model import needed_tokens
from layers.model.graph import ENCODER, Graph, portable
from layers.runtime.operators import GROUP, PANEL, ZERO_WEIGHT

REFERENCE_PANEL = 64
"""The number of outputs in a panel of the reference layout. Changing it would invalidate every cached vector."""


def in_reference_layout(weights: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay out packed weights in panels of REFERENCE_PANEL outputs: (out / 64, blocks, block / GROUP, 64, GROUP)."""
    panels, blocks, groups, _, _ = weights.shape
    each = REFERENCE_PANEL // PANEL
    whole = np.full((-(-panels // each) * each, blocks, groups, PANEL, GROUP), ZERO_WEIGHT, np.uint8)
    whole[:panels] = weights
    parts = whole.reshape(-1, each, blocks, groups, PANEL, GROUP).transpose(0, 2, 3, 1, 4, 5)
    return np.ascontiguousarray(parts).reshape(-1, blocks, groups, REFERENCE_PANEL, GROUP)


def reference_digests(folder: Path, graph: onnx.ModelProto) -> dict[str, str]:
    """Return the sha256 that a model folder's files would have in the reference layout; empty if no weight has a layout.

    `graph` is the folder's graph without its weights.
    """
    if not any(node.domain == ENCODER and node.op_type == "Linear" for node in graph.graph.node):
        return {}
    written = Graph.read(folder / GRAPH)
    written.change_constants("Linear", 1, in_reference_layout)
    if portable(graph):
        needed_tokens.remove(written)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        written.write(Path(scratch, GRAPH), WEIGHTS)
        return {name: sha256(Path(scratch), name) for name in (GRAPH, WEIGHTS)}
