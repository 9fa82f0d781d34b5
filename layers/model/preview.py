"""A model's way through the builder, decided from its configuration and the names of its files: no weights are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from layers.model import networks, tokenizer
from layers.model.onnx_files import OnnxFile
from layers.model.specification import Exported, Specification


@dataclass(frozen=True, slots=True)
class Preview:
    """What a model would be made from, and why not from its weights, if it is not."""

    architecture: str
    made_from: str
    reason: str | None

    @classmethod
    def read(cls, folder: Path, exported: OnnxFile | None = None) -> Self:
        """Decide as `builder.build` would; the files of weights and of the tokenizer need only be there, and may be empty.

        Raises:
            Unsupported: the model is refused before its weights are read.
        """
        specification = Specification.read(folder, exported)
        tokenizer.check_files(specification)
        networks.check_files(specification)
        network = specification.network
        reason = network.reason if isinstance(network, Exported) else None
        return cls(specification.architecture, networks.kind(specification).made_from, reason)
