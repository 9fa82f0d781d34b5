"""Load the encoder that a manifest names. Only the modules that this encoder needs are imported.

A static model needs no ONNX Runtime, whose import takes longer than all other steps of such a model's cold start.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from handler.embedding.manifest import EncoderName, Manifest
from handler.vectors import NEVER, TokenIds, Vectors


class LoadedEncoder(Protocol):
    """An encoder of token ids as vectors: encoder.Encoder, or static_encoder.StaticEncoder."""

    dimension: int
    hidden: int
    kernels: str
    kernel_class: str

    @property
    def fingerprint(self) -> str:
        """The sha256 over everything that decides a vector except its text. The same fingerprint means the same bits."""
        ...

    def encode(self, sequences: Sequence[TokenIds], deadline: float = NEVER, prompt_tokens: int = 0) -> Vectors:
        """Return pooled vectors (sequences, dimension); the first `prompt_tokens` of each sequence belong to the prompt."""
        ...

    def encode_tokens(self, sequences: Sequence[TokenIds], deadline: float = NEVER) -> list[Vectors]:
        """Return vectors (tokens, hidden) of each sequence."""
        ...


def load(folder: Path, manifest: Manifest, threads: int, kernels: str = "") -> LoadedEncoder:
    """Load the encoder of a model folder.

    Args:
        folder: the model folder.
        manifest: the folder's manifest.
        threads: the number of threads that compute.
        kernels: the kernels that the encoder's own operators use; the fastest if empty.

    Raises:
        Backend: a file cannot be loaded or does not fit the manifest, or the processor lacks these kernels.
    """
    return LOADERS[manifest.encoder](folder, manifest, threads, kernels)


def _onnx(folder: Path, manifest: Manifest, threads: int, kernels: str) -> LoadedEncoder:
    from handler.embedding.encoder import Encoder  # noqa: PLC0415 - imports ONNX Runtime, which other encoders do not need

    return Encoder(folder, manifest, threads, kernels)


def _static(folder: Path, manifest: Manifest, _threads: int, _kernels: str) -> LoadedEncoder:
    from handler.embedding.static_encoder import StaticEncoder  # noqa: PLC0415 - other encoders do not need it

    return StaticEncoder(folder, manifest)


LOADERS: Mapping[EncoderName, Callable[[Path, Manifest, int, str], LoadedEncoder]] = {"onnx": _onnx, "static": _static}
"""The loader of each encoder that a manifest can name."""
