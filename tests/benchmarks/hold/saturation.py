"""Find out if ONNX Runtime sums products of bytes as it does with AVX2 alone: `python saturation.py GRAPH` prints true or false.

GRAPH is the file that effect.py writes. Law: import numpy and onnxruntime only, because contenders' environments run it too.
"""

import json
import sys

import numpy as np
import onnxruntime

SUMMED, LARGEST_U8, LARGEST_S8 = 64, 255, 127
EXACT = SUMMED * LARGEST_U8 * LARGEST_S8
"""AVX2 adds two products in 16 bits, where these do not fit. With VNNI, AVX-VNNI or AMX the sum is exact."""


def saturates(graph: str) -> bool:
    """Return True if a sum of products of bytes is not exact."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"bytes": np.full((1, SUMMED), LARGEST_U8, np.uint8)})
    return bool((sums < EXACT).all())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(saturates(sys.argv[1])))
