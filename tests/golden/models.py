"""The real models that `make models` builds and checks, and the official library's vectors for them.

A model is here if package registries have its weights. `references/NAME.json` holds its vectors (references.py made them).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from layers.model import packages
from layers.model.precision import PRECISIONS
from layers.model.sources import Source
from tests.conftest import ROOT
from tests.golden import paraphrase_minilm

SOURCES, BUILT = ROOT / "build/sources", ROOT / "build/models"
REFERENCES = Path(__file__).with_name("references")

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A real model: the function that finds its folder, and the smallest allowed cosine of each precision to the official library.

    The cosines are those of ordinary texts; see `references`.
    """

    name: str
    revision: str
    find: Callable[[Path, Say], Path]
    least: Mapping[str, float]

    @property
    def short(self) -> str:
        """The name without its organisation."""
        return self.name.rpartition("/")[2]

    def source(self, say: Say) -> Source:
        """Return the model's folder, fetched if it is not here."""
        return Source(self.find(SOURCES, say), self.name, self.revision)

    def folder(self, precision: str) -> Path:
        """Return where the model is built in a precision."""
        return BUILT / self.short / precision

    def references(self) -> list[dict[str, Any]]:
        """Return the official library's vectors: `text`, `side` (where a long text is truncated), `ordinary`, `vector`.

        Only fp32 is compared on texts that are not ordinary, such as one word five hundred times.
        """
        rows: list[dict[str, Any]] = json.loads((REFERENCES / f"{self.short}.json").read_text(encoding="utf-8"))["rows"]
        return rows


def _pinned(name: str) -> tuple[str, str, Callable[[Path, Say], Path]]:
    return name, packages.PINNED[name].revision, partial(packages.pinned, name)


EXACT = 0.99999
CHECKED = (
    CheckedModel(
        paraphrase_minilm.NAME,
        paraphrase_minilm.VERSION,
        paraphrase_minilm.folder,
        {"fp32": EXACT, "fp16": EXACT, "int8": 0.99, "int4": 0.95},
    ),
    CheckedModel(*_pinned(packages.DEFAULT), {"fp32": EXACT, "fp16": EXACT, "int8": 0.99, "int4": 0.95}),
    CheckedModel(*_pinned("sentence-transformers/all-mpnet-base-v2"), {"fp32": EXACT, "fp16": EXACT, "int8": 0.99, "int4": 0.95}),
)
"""From the smallest to the largest."""
assert all(model.least.keys() == set(PRECISIONS) for model in CHECKED)
