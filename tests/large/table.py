"""Keep the figures of the large models that were measured, in the form of the benchmarks: build/large.json."""

import math
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.machine import Machine
from tests.benchmarks.results import LARGE_RUN, Section, read, renew, section_name
from tests.benchmarks.tables import Cell, Table
from tests.large.measure import LENGTHS
from tests.large.model import MODELS, LargeModel

LAYER_BYTES = 136_000_000
"""The bytes that the function and the runtime layer leave of Lambda's 250 MiB (layers/model/Makefile)."""
TMP_BYTES = 512 * 2**20
"""The /tmp of a function whose EphemeralStorage is not set, and the most that SnapStart allows."""
STEP = 128
"""The values of EphemeralStorage that the table names are multiples of so many MB."""
BLOCK = 32
"""The number of int4 weights that share a scale of four bytes and a zero point of half a byte (layers/model/int4.py)."""

COLUMNS: Mapping[str, str] = (
    {"model": "s", "weights GB": ".2f", "built CPU s": ".0f", "build GB": ".2f", "build / weights": ".2f"}
    | {"int8 MB": ".0f", "int4 MB": ".0f", "fp16 MB": ".0f", "fp32 MB": ".0f", "fits": "s"}
    | {"start s": ".1f", "start CPU s": ".1f", "again s": ".1f", "ready MB": ".0f", "memory MB": ".0f"}
    | {f"ms of {length}": ".0f" for length in LENGTHS}
)


def record(model: LargeModel, size: int, built: Mapping[str, Any], fetched: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    """Put a model's row into the file, in place of its older one; return the table as text.

    Args:
        model: the model.
        size: the bytes of its int8 folder.
        built: the figures of build.py.
        fetched: those of measure.py for a start that downloads the model.
        kept: those of a start that finds it in /tmp.
    """
    weights = model.weight_bytes()
    cells: list[Cell] = [
        *(model.name, weights / 1e9, built["cpu_seconds"], built["bytes"] / 1e9, built["bytes"] / weights),
        *(size / 1e6, int4_bytes(model) / 1e6, weights / 2e6, weights / 1e6, place(size)),
        *(fetched["seconds"], fetched["cpu_seconds"], kept["seconds"], fetched["bytes_loaded"] / 1e6, fetched["bytes"] / 1e6),
        *(kept[f"milliseconds_{length}"] for length in LENGTHS),
    ]
    machine = Machine.this()
    name = section_name(machine.processor_class)
    rows = {row["model"]: list(row.values()) for row in _known(name)} | {model.name: cells}
    table = Table("Large models", [], dict(COLUMNS), [rows[known] for known in MODELS if known in rows])
    renew(LARGE_RUN, name, Section.of(machine, [table], quick=False))
    return str(table.on(name))


def _known(name: str) -> list[Mapping[str, Any]]:
    sections = read(LARGE_RUN)
    return list(sections[name].tables.get("Large models", [])) if name in sections else []


def int4_bytes(model: LargeModel) -> float:
    """Return the size of the model as int4, computed: embeddings have a byte for each weight, and norms and biases four."""
    words = f"{model.shape().architecture.words}.weight"
    total = 0.0
    for name, shape in model.shapes().items():
        each = 4 if len(shape) == 1 else 1 if name == words else 0.5 + 4.5 / BLOCK
        total += each * math.prod(shape)
    return total


def place(size: int) -> str:
    """Return where a model of this size fits."""
    if size <= LAYER_BYTES:
        return "a layer"
    if size <= TMP_BYTES:
        return "`/tmp` of 512 MB"
    return f"`EphemeralStorage={math.ceil(size / 2**20 / STEP) * STEP}`"
