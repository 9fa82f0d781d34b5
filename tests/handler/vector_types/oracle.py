"""The small vectors that the official library makes: the reference values of references.json.

Run by hand, in an environment with sentence-transformers (6.2.0 made what is committed):

    python tests/handler/vector_types/oracle.py tests/handler/vector_types/references.json
"""

import json
import sys
from pathlib import Path

import numpy as np
import sentence_transformers
from sentence_transformers.util.quantization import quantize_embeddings

TYPES = ("int8", "uint8", "binary", "ubinary")
VECTORS, CALIBRATION, DIMENSIONS = 12, 150, 48


def main() -> None:
    """Write random unit vectors, the ranges of others, and what the library makes of them; some numbers lie outside."""
    generator = np.random.default_rng(20)
    calibration, vectors = (unit(generator.standard_normal((count, DIMENSIONS))) for count in (CALIBRATION, VECTORS))
    ranges = np.vstack((calibration.min(axis=0), calibration.max(axis=0)))
    ranges[:, 5] = 0.01  # a dimension without a width
    vectors[0] = ranges[0]
    vectors[1] = ranges[1]
    vectors[2, ::3] = 0
    vectors[3] *= 3
    written = {
        "library": f"sentence-transformers {sentence_transformers.__version__}",
        "ranges": ranges.astype(np.float64).tolist(),
        "vectors": vectors.astype(np.float64).tolist(),
    }
    made = {name: quantize_embeddings(vectors, precision=name, ranges=ranges).tolist() for name in TYPES}
    Path(sys.argv[1]).write_text(json.dumps(written | made) + "\n", encoding="utf-8")


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1 in float32."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
