"""Choose the files of a repository that a model needs. Fetched files say which other files are needed."""

import glob
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from handler.embedding.manifest import TOKENIZER
from layers.model import onnx_files
from layers.model.configuration import exists, inside, regular
from layers.model.onnx_files import OnnxFile
from layers.model.specification import is_written, read_modules
from layers.model.static import Table, is_static
from layers.model.word_pieces import VOCABULARY

type Patterns = tuple[str, ...]

SAFETENSORS = "*.safetensors"
PICKLES = "pytorch_model*.bin"


def patterns(folder: Path, exported: OnnxFile | None = None) -> Iterator[Patterns]:
    """Yield patterns of files. The caller fetches these files into `folder` before it takes the next patterns.

    No more than needed is downloaded: either the weights, or one ONNX file and the files that it names.

    Raises:
        Unsupported: a configuration file is missing, or the model cannot be built.
    """
    yield "*.json", "README.md"
    if is_static(folder):
        yield from _checkpoints(folder, [str(Table.read(folder).folder.relative_to(folder))])
        return
    transformer, modules = read_modules(folder)
    place = PurePosixPath(modules.transformer)
    if not exists(transformer.folder, TOKENIZER):
        yield (_exactly(place / VOCABULARY),)
    folders = [module.folder for module in modules.around_pooling if module.tensors()]
    if is_written(transformer, exported):
        folders.append(modules.transformer)
    else:
        yield from _own_file(folder, place, exported)
    yield from _checkpoints(folder, folders)


def _checkpoints(folder: Path, folders: list[str]) -> Iterator[Patterns]:
    """Yield the patterns of the weights in each of these folders of a repository."""
    if folders:
        yield tuple(_exactly(PurePosixPath(name), SAFETENSORS) for name in folders)
    lacking = [name for name in folders if not any((folder / name).glob(SAFETENSORS))]
    if lacking:
        yield tuple(_exactly(PurePosixPath(name), PICKLES) for name in lacking)


def _own_file(folder: Path, place: PurePosixPath, exported: OnnxFile | None) -> Iterator[Patterns]:
    """Yield the patterns of the ONNX file in the Transformer module's folder `place` and of its data.

    A file of another repository needs none.
    """
    if exported is None:
        for name in onnx_files.NAMES:
            yield (_exactly(place / name),)
            if exists(folder / place, name):
                yield from data_files(folder, place / name)
                return
    elif exported.folder is None:
        yield from file_patterns(folder, place / exported.name)


def file_patterns(folder: Path, path: PurePosixPath) -> Iterator[Patterns]:
    """Yield the patterns of one ONNX file in a repository, and of the files in which it keeps tensors."""
    yield (_exactly(path),)
    yield from data_files(folder, path)


def data_files(folder: Path, path: PurePosixPath) -> Iterator[Patterns]:
    """Yield the patterns of the files in which the ONNX file at `path` keeps tensors. That file must have been fetched.

    Raises:
        Unsupported: a file would be outside the repository.
    """
    if not exists(folder, str(path)):
        return
    names = [path.parent / location for location in onnx_files.locations(onnx_files.read(regular(folder, str(path))))]
    for name in names:
        inside(folder, str(name))
    if names:
        yield tuple(map(_exactly, names))


def _exactly(path: PurePosixPath, pattern: str = "") -> str:
    """Return a pattern that matches only the file at `path`, or only the files in the folder `path` that match `pattern`."""
    name = "" if str(path) == "." else glob.escape(str(path))
    return f"{name}/{pattern}".lstrip("/") if pattern else name
