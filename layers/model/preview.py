"""Predict how a model would be built, from its configuration and the names of its files, without reading weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from handler.embedding.manifest import TOKENIZER
from layers.model import networks, tokenizer, weights
from layers.model.configuration import regular
from layers.model.onnx_files import OnnxFile
from layers.model.specification import Exported, Specification
from layers.model.static import Table, is_static


@dataclass(frozen=True, slots=True)
class Preview:
    """The way in which a model would be built. `reason` says why from its own ONNX file; None if not from that."""

    architecture: str
    made_from: str
    reason: str | None

    @classmethod
    def read(cls, folder: Path, exported: OnnxFile | None = None) -> Self:
        """Decide as `builder.build` does. The files of weights and of the tokenizer must exist, but may be empty.

        Raises:
            Unsupported: the model is refused before its weights are read.
        """
        if is_static(folder) and exported is None:
            table = Table.read(folder)
            regular(table.folder, TOKENIZER)
            weights.check_files(table.folder)
            return cls(table.architecture, networks.Static.made_from, None)
        specification = Specification.read(folder, exported)
        tokenizer.check_files(specification)
        networks.check_files(specification)
        network = specification.network
        reason = network.reason if isinstance(network, Exported) else None
        return cls(specification.architecture, networks.kind(specification).made_from, reason)
