"""The format of manifest.json, which says what a model folder holds, how it is loaded and how its vectors are computed.

The builder (layers/model) writes it and the handler reads it. The format is defined in this file only.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

from handler.errors import Backend, Validation, shown
from handler.vector_types import ModelTypes

FORMAT = 4
MANIFEST = "manifest.json"
NO_PROMPT = ""
"""The `prompt_name` of a text that gets no prompt, whatever the model's default."""
GRAPH = "model.onnx"
WEIGHTS = "model.onnx.data"
TABLE = "table.npy"
SCALES = "scales.npy"
TOKENIZER = "tokenizer.json"

CodecName = Literal["scaled16", "exact32"]
"""The names of the cache's codecs (handler/cache/codec.py)."""
Optimization = Literal["none", "basic", "extended"]
"""The names of ONNX Runtime's graph optimization levels (session.py)."""
EncoderName = Literal["onnx", "static"]
"""The names of encoders (encoders.py): a graph for ONNX Runtime, or a table of a row for each token."""

FILES: Mapping[EncoderName, frozenset[str]] = {
    "onnx": frozenset({GRAPH, WEIGHTS, TOKENIZER}),
    "static": frozenset({TABLE, TOKENIZER}),  # and SCALES if the table is int8
}
"""The files that the folder of each encoder must have."""
ADDED: Mapping[str, Any] = {"encoder": "onnx", "activation": ""}
"""Fields that older manifests of the same format lack, and the value that they stand for then."""


Activation = Literal["", "sigmoid", "identity"]
"""The names of what follows a cross-encoder's score."""


@dataclass(frozen=True, slots=True)
class Loading:
    """The options with which ONNX Runtime loads a graph: the optimization level, and entries of the session's configuration."""

    optimization: Optimization = "none"
    entries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of one model folder.

    files: the sha256 of each file of the folder, by its name.
    reference_files: the sha256 that each file with a layout for speed has in the reference layout
        (layers/model/reference_layout.py).
    portable: true if the model's vectors have the same bits on every kind of CPU.
    ranges: the ranges by which int8 and uint8 vectors are made, by number of dimensions (handler/vector_types.py).
    codec: the form in which vectors are rounded and cached.
    operators: true if the graph needs the encoder's own operators.
    loading: the options with which ONNX Runtime loads the graph.
    loading_where_bytes_saturate: the same, for processors whose sums of products of bytes saturate (cpu.py).
    overrides: settings of the builder's user that replace those of the model's own files; `normalize` is one.
    encoder: the encoder that computes the vectors. ONNX Runtime is imported only for `onnx`.
    activation: of a cross-encoder, what Sentence Transformers applies to its score, `sigmoid` or `identity`; empty for a model of
        vectors.
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
    codec: CodecName
    operators: bool
    loading: Loading
    loading_where_bytes_saturate: Loading
    overrides: dict[str, Any] = field(default_factory=dict)
    encoder: EncoderName = "onnx"
    activation: Activation = ""
    format: int = FORMAT
    digest: str = field(default="", compare=False)
    """The sha256 of manifest.json itself; empty if the manifest was not read from a file."""

    @property
    def fingerprint(self) -> str:
        """The sha256 over the values that decide the vector of given tokens.

        The model's names, its license and measurements are not part of it. The options of loading are not part of it either,
        because the precision decides them. If a change of the builder's table of precisions changes vectors, raise ENCODER_REVISION
        (encoder.py).
        """
        decisive = {
            "files": self.files | self.reference_files,
            "dimension": self.dimension,
            "pooling": self.pooling,
            "include_prompt": self.include_prompt,
            "precision": self.precision,
        }
        if self.overrides:
            decisive["overrides"] = self.overrides
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    @property
    def vector_space(self) -> str:
        """The sha256 over what the model was made from: models with the same value have vectors that can be compared.

        The precision is not part of it: int8 and fp32 vectors of one model are close to each other (`fidelity`).
        """
        decisive = {
            "sources": self.sources,
            "dimension": self.dimension,
            "pooling": self.pooling,
            "include_prompt": self.include_prompt,
            "overrides": self.overrides,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def normalizes(self, wanted: bool | None) -> bool:  # noqa: FBT001 - an option of a request
        """Return whether vectors get the length 1, where a request says it is `wanted`, or nothing."""
        return self.overrides.get("normalize", True) if wanted is None else wanted

    def prompt(self, name: str | None) -> str:
        """Return the prompt of this name; the default one, or none, if a request names none. "" names none, whatever the default.

        Raises:
            Validation: the model has no prompt of this name; the sentence lists those that it has.
        """
        name = self.default_prompt_name if name is None else name
        if name is None or (name == NO_PROMPT and name not in self.prompts):
            return ""
        if name not in self.prompts:
            known = ", ".join(f"`{known}`" for known in self.prompts) or "none"
            msg = f"`prompt_name` is not one of this model's prompts: {known}. Given: {shown(name)}"
            raise Validation(msg)
        return self.prompts[name]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read `folder`/manifest.json and check every file that it names.

        Raises:
            Backend: the manifest or a file is missing or damaged, or the manifest has another format; the sentence names the file.
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
        """Parse the content of a manifest.json. `folder` is its place in error sentences.

        Raises:
            Backend: the content is damaged, is no manifest, or has another format.
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
        found = ADDED | found
        declared = {each.name: each.type for each in fields(cls) if each.name != "digest"}
        missing = sorted(declared.keys() - found.keys())
        if missing:
            msg = f"{MANIFEST} in {folder} lacks {', '.join(missing)}: build the model again with `make model`"
            raise Backend(msg)
        wrong = sorted(name for name, kind in declared.items() if not _fits(found[name], kind))
        if wrong or not FILES[found["encoder"]] <= found["files"].keys() or not all(map(_is_file_name, found["files"])):
            msg = f"{MANIFEST} in {folder} has no usable {', '.join(wrong) or 'files'}: build the model again with `make model`"
            raise Backend(msg)
        ModelTypes(found["dimension"], found["ranges"])  # raises if a range cannot be used
        loadings = {name: Loading(**found[name]) for name, kind in declared.items() if kind is Loading}
        return cls(**{name: found[name] for name in declared} | loadings, digest=hashlib.sha256(content).hexdigest())

    def write(self, folder: Path) -> None:
        """Write `folder`/manifest.json. The same manifest always gives the same bytes."""
        written = {name: value for name, value in asdict(self).items() if name != "digest"}
        text = json.dumps(written, indent=2, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _fits(value: object, declared: Any) -> bool:  # noqa: ANN401 - an annotation
    """Return whether a value read from JSON has the declared type. Values of dicts and fields of dataclasses are checked too."""
    if get_origin(declared) is Literal:
        return value in get_args(declared)
    if get_origin(declared) is dict:
        _, values = get_args(declared)
        return isinstance(value, dict) and (values is Any or all(isinstance(item, values) for item in value.values()))
    if is_dataclass(declared):
        kinds = {each.name: each.type for each in fields(declared)}
        return isinstance(value, dict) and value.keys() == kinds.keys() and all(_fits(value[name], kinds[name]) for name in kinds)
    return isinstance(value, declared) and isinstance(value, bool) == (declared is bool)


def _is_file_name(name: str) -> bool:
    """Return whether this is the name of a file directly in the folder."""
    return Path(name).name == name and not name.startswith(".")


def sha256(folder: Path, name: str) -> str:
    """Return the sha256 of one file of a model folder, as hex digits.

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
