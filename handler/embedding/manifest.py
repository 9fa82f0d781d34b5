"""manifest.json: what a model folder holds and how its vectors are made.

The builder (layers/model) writes it, the handler reads it; this file is the format's only home.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, get_args, get_origin

from handler.errors import Backend
from handler.vector_types import ModelTypes

FORMAT = 4
MANIFEST = "manifest.json"
GRAPH = "model.onnx"
WEIGHTS = "model.onnx.data"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One model folder, described. `files` maps a file's name to its sha256.

    `reference_files` maps the files whose layout does not decide a vector to the sha256 that they have in the layout by which a
    model is recognised (layers/model/layout.py).
    `portable` says that its vectors are the same bits on every kind of CPU.
    `ranges` maps a number of dimensions to their ranges, which int8 and uint8 vectors are made by (handler/vector_types.py).
    """

    model_id: str
    revision: str
    license: str
    architecture: str
    precision: str
    dimension: int
    max_length: int
    pooling: str
    include_prompt: bool
    similarity: str
    prompts: dict[str, str]
    default_prompt_name: str | None
    files: dict[str, str]
    reference_files: dict[str, str]
    sources: dict[str, str]
    fidelity: dict[str, Any]
    portable: bool
    ranges: dict[str, str]
    format: int = FORMAT
    digest: str = field(default="", compare=False)
    """Sha256 of manifest.json itself, where it was read from one."""

    @property
    def fingerprint(self) -> str:
        """Sha256 over what in the folder decides the vector of given tokens; names, licence and measurements stay out of it."""
        decisive = {
            "files": self.files | self.reference_files,
            "dimension": self.dimension,
            "pooling": self.pooling,
            "include_prompt": self.include_prompt,
            "precision": self.precision,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read `folder`/manifest.json and check every file it names.

        Raises:
            Backend: the manifest or a file is missing, damaged, foreign or too new; the sentence says which.
        """
        manifest = cls.parse(_content(folder, MANIFEST), folder)
        for name, expected in manifest.files.items():
            actual = sha256(folder, name)
            if actual != expected:
                msg = (
                    f"The model file {name} in {folder} is damaged or not the one that was built: "
                    f"its sha256 is {actual[:12]}…, {MANIFEST} says {expected[:12]}…"
                )
                raise Backend(msg)
        return manifest

    @classmethod
    def parse(cls, content: bytes, folder: Path | str) -> Self:
        """Read the content of a manifest.json; `folder` is what the sentences call the place that it comes from.

        Raises:
            Backend: it is damaged, foreign or too new.
        """
        try:
            found = json.loads(content)
            version = found["format"]
        except (ValueError, TypeError, KeyError):
            msg = f"{MANIFEST} in {folder} is not a model manifest: build the model again with `make model`"
            raise Backend(msg) from None
        if version != FORMAT:
            msg = (
                f"{MANIFEST} in {folder} has format {version}, this version reads format {FORMAT}: "
                "update the handler or build the model again"
            )
            raise Backend(msg)
        names = cls.__dataclass_fields__.keys() - {"digest"}
        missing = sorted(names - found.keys())
        if missing:
            msg = f"{MANIFEST} in {folder} lacks {', '.join(missing)}: build the model again with `make model`"
            raise Backend(msg)
        wrong = sorted(name for name in names if not _fits(found[name], cls.__dataclass_fields__[name].type))
        if wrong or not {GRAPH, WEIGHTS, TOKENIZER} <= found["files"].keys() or not all(map(_plain, found["files"])):
            msg = f"{MANIFEST} in {folder} has no usable {', '.join(wrong) or 'files'}: build the model again with `make model`"
            raise Backend(msg)
        ModelTypes(found["dimension"], found["ranges"])  # raises where a range cannot be used
        return cls(**{name: found[name] for name in names}, digest=hashlib.sha256(content).hexdigest())

    def write(self, folder: Path) -> None:
        """Write `folder`/manifest.json; the same manifest gives the same bytes."""
        written = {name: value for name, value in asdict(self).items() if name != "digest"}
        text = json.dumps(written, indent=2, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _fits(value: object, declared: Any) -> bool:  # noqa: ANN401 - an annotation
    """Whether a value read from JSON is of a field's declared type; of a dict, its values too."""
    if get_origin(declared) is dict:
        _, values = get_args(declared)
        return isinstance(value, dict) and (values is Any or all(isinstance(item, values) for item in value.values()))
    return isinstance(value, declared) and isinstance(value, bool) == (declared is bool)


def _plain(name: str) -> bool:
    """Whether this is the name of a file in the folder, and of no other place."""
    return Path(name).name == name and not name.startswith(".")


def sha256(folder: Path, name: str) -> str:
    """Sha256 of one file of a model folder, as hex digits.

    Raises:
        Backend: the file cannot be read.
    """
    try:
        with (folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(folder, name, error) from None


def _content(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise _unreadable(folder, name, error) from None


def _unreadable(folder: Path, name: str, error: OSError) -> Backend:
    if isinstance(error, FileNotFoundError):
        return Backend(f"The model file {name} is missing in {folder}: build it with `make model`")
    return Backend(f"The model file {name} in {folder} cannot be read: {error.strerror}")
