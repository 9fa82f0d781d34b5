"""Which of a repository's files a model is built from, step by step: what has arrived tells what else is needed."""

import glob
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from handler.embedding.manifest import TOKENIZER
from layers.model import onnx_files
from layers.model.configuration import exists, inside, regular
from layers.model.onnx_files import OnnxFile
from layers.model.specification import is_written, read_modules
from layers.model.word_pieces import VOCABULARY

type Patterns = tuple[str, ...]

SAFETENSORS = "*.safetensors"
PICKLES = "pytorch_model*.bin"


def patterns(folder: Path, exported: OnnxFile | None = None) -> Iterator[Patterns]:
    """Yield patterns of the files to fetch into `folder`; when the next ones are asked for, those must have been fetched.

    So that no more than is needed is downloaded: the weights where this builder writes the graph, else one ONNX file and the files
    that it names.

    Raises:
        Unsupported: as Specification.read.
    """
    yield "*.json", "README.md"
    transformer, modules = read_modules(folder)
    place = PurePosixPath(modules.transformer)
    if not exists(transformer.folder, TOKENIZER):
        yield (_exactly(place / VOCABULARY),)
    folders = [step.folder for step in modules.steps if step.tensors()]
    if is_written(transformer, exported):
        folders.append(modules.transformer)
    else:
        yield from _own_file(folder, place, exported)
    if folders:
        yield tuple(_exactly(PurePosixPath(name), SAFETENSORS) for name in folders)
    lacking = [name for name in folders if not any((folder / name).glob(SAFETENSORS))]
    if lacking:
        yield tuple(_exactly(PurePosixPath(name), PICKLES) for name in lacking)


def _own_file(folder: Path, place: PurePosixPath, exported: OnnxFile | None) -> Iterator[Patterns]:
    """Yield the patterns of the ONNX file in the Transformer's folder `place`, if it is not another repository's, and its data."""
    if exported is None:
        for name in onnx_files.NAMES:
            yield (_exactly(place / name),)
            if exists(folder / place, name):
                yield from data_files(folder, place / name)
                return
    elif exported.folder is None:
        yield from file_patterns(folder, place / exported.name)


def file_patterns(folder: Path, path: PurePosixPath) -> Iterator[Patterns]:
    """Yield the patterns of one ONNX file in a repository, and of the files that it keeps tensors in."""
    yield (_exactly(path),)
    yield from data_files(folder, path)


def data_files(folder: Path, path: PurePosixPath) -> Iterator[Patterns]:
    """Yield the patterns of the files that the ONNX file at `path` keeps tensors in; it must be there.

    Raises:
        Unsupported: one would lie outside the repository.
    """
    if not exists(folder, str(path)):
        return
    names = [path.parent / location for location in onnx_files.locations(onnx_files.read(regular(folder, str(path))))]
    for name in names:
        inside(folder, str(name))
    if names:
        yield tuple(map(_exactly, names))


def _exactly(path: PurePosixPath, pattern: str = "") -> str:
    """Return a pattern for the file at `path` alone, or for those in the folder `path` that match `pattern`."""
    name = "" if str(path) == "." else glob.escape(str(path))
    return f"{name}/{pattern}".lstrip("/") if pattern else name
