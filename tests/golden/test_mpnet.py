"""A real model of another architecture, all-mpnet-base-v2, against the official library's vectors (oracle.py computed them).

`make mpnet` fetches and builds it; without that these tests are skipped.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from handler.service import Options
from layers.model import packages
from layers.model.builder import Order, build
from layers.model.sources import Source
from tests.conftest import ROOT, serve

NAME = "sentence-transformers/all-mpnet-base-v2"
BUILT = ROOT / "build/all-mpnet-base-v2"
ROWS = json.loads(Path(__file__).with_name("all-mpnet-base-v2.json").read_text())

pytestmark = pytest.mark.skipif(not (BUILT / "manifest.json").exists(), reason="`make mpnet` builds it")


def cosines(folder: Path) -> Sequence[float]:
    """The cosine of each text's vector to the library's."""
    service = serve(folder)
    found = []
    for row in ROWS:
        (ours,), theirs = service.embed([row["text"]], Options(truncation_direction=row["side"])).vectors, np.array(row["vector"])
        found.append(float(ours @ theirs / np.linalg.norm(theirs)))
    return found


def test_the_int8_model_stays_close_to_the_official_library() -> None:
    """On what people write: one word five hundred times falls to 0.65, and special tokens written out to 0.93."""
    unlikely = ("word word", "a <pad>")
    measured = [cosine for cosine, row in zip(cosines(BUILT), ROWS, strict=True) if not row["text"].startswith(unlikely)]
    assert min(measured) >= 0.99


def test_the_fp32_graph_is_the_official_library_s(tmp_path: Path) -> None:
    """Cosine at least 0.99999 each, left- and right-truncated."""
    folder = packages.pinned(NAME, ROOT / "build/sources", print)
    build(Order(Source(folder, NAME, "0"), tmp_path / "exact", "fp32", None, threads=2, passages=20), print)
    assert min(cosines(tmp_path / "exact")) >= 0.99999
