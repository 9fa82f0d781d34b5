"""Measure a model that pools its first token: with the other tokens left out after the last attention, and with all tokens.

It is the default model with another pooling. Both graphs give the same bits.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from handler.embedding.encoder import Encoder
from handler.embedding.manifest import GRAPH, WEIGHTS, Manifest
from layers.model import networks
from layers.model.calibration import largest_activations
from layers.model.graph import Graph
from layers.model.head import Head
from layers.model.int8 import Int8
from layers.model.modules import Pooling

from .effort import Effort
from .encoder import LENGTHS, sequences
from .models import INT8, default
from .rounds import burst, interleaved
from .tables import Table

CALIBRATION = 2
"""The number of texts that int8 is fitted to. It changes no time."""


def tables(effort: Effort) -> Iterator[Table]:
    """Make one row for each length."""
    with tempfile.TemporaryDirectory() as scratch:
        network = _first_token_pooled()
        precision = Int8(largest_activations(network.graph, sequences(LENGTHS[0], CALIBRATION)))
        whole = _encoder(Path(scratch, "whole"), network.graph(precision))
        one = _encoder(Path(scratch, "one"), network.graph(precision, network.head.needed))
        rows = []
        for length in LENGTHS:
            texts = sequences(length, 1)
            turns = {name: burst(partial(each.encode, texts), effort.burst) for name, each in {"all": whole, "one": one}.items()}
            timings = interleaved(turns, effort.row)
            rows.append((length, timings.median("all") * 1000, timings.median("one") * 1000, timings.ratio("all", "one")))
    yield Table(
        "One pooled token, 1 thread: milliseconds a text",
        ["the default model's six layers, pooled by its first token; of a model with more layers, the last one is a smaller part"],
        {"tokens": "d", "all computed": ".2f", "one computed": ".2f", "speed": ".2f"},
        rows,
    )


def _first_token_pooled() -> networks.Written:
    network, manifest = default(), Manifest.read(INT8)
    pooling = Pooling(("cls",), manifest.dimension, include_prompt=True)
    return replace(network, head=Head([], pooling, [], manifest.dimension))


def _encoder(folder: Path, graph: Graph) -> Encoder:
    folder.mkdir()
    graph.write(folder / GRAPH, WEIGHTS)
    return Encoder(folder, replace(Manifest.read(INT8), pooling="cls"), 1, os.environ.get("KERNELS", ""))
