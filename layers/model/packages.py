"""Install models that are Python packages: two pinned ones, and any package that contains a Sentence Transformers folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from layers.model.configuration import Unsupported

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Pinned:
    """A model whose packages are pinned by hash. `files` has the sha256 of the files that decide the vectors."""

    requirements: str
    revision: str
    files: Mapping[str, str]


PINNED: Mapping[str, Pinned] = {
    "sentence-transformers/all-MiniLM-L6-v2": Pinned(
        "all-MiniLM-L6-v2.txt",
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        # The sha256 of the hub's files: the packages must contain exactly that model.
        {
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    ),
    "sentence-transformers/all-mpnet-base-v2": Pinned(
        "all-mpnet-base-v2.txt",
        "0.0.1",  # the version of the packages, which name no revision
        {
            "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
        },
    ),
}
DEFAULT = next(iter(PINNED))


def pinned(name: str, cache: Path, say: Callable[[str], None]) -> Path:
    """Return the folder of a pinned model. Its packages are installed if they are not here.

    Raises:
        Unsupported: the packages cannot be fetched, or their files have another sha256.
    """
    pin = PINNED[name]
    place = cache / "packages" / name.rpartition("/")[2]
    folder = _model(place)
    if folder is None or not _intact(folder, pin.files):
        say(f"Fetching the packages of {name}")
        # uv checks the hashes of what it downloads, and caches it.
        install(name, ["--require-hashes", "-r", str(HERE / pin.requirements)], place)
        folder = _model(place)
    if folder is None or not _intact(folder, pin.files):
        msg = f"the files fetched for {name} are not those of its revision {pin.revision}"
        raise Unsupported(msg)
    return folder


def released(name: str, version: str, cache: Path, say: Callable[[str], None]) -> Path:
    """Return the folder of the model in a release of a package.

    Raises:
        Unsupported: the package cannot be fetched, or does not contain exactly one model.
    """
    place = cache / "packages" / f"{name}-{version}"
    if not place.exists():
        say(f"Fetching the package {name} {version}")
        install(f"{name} {version}", [f"{name}=={version}"], place)
    folder = _model(place)
    if folder is None:
        msg = f"the package {name} {version} has no Sentence Transformers folder in it, or several"
        raise Unsupported(msg)
    return folder


def install(name: str, requirements: list[str], place: Path) -> None:
    """Install packages into the folder `place`, which appears only when everything is installed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        target = Path(scratch, "installed")
        command = [sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--target", str(target), *requirements]
        if not sys.stderr.isatty():
            command.insert(5, "--quiet")
        if subprocess.run(command, env=os.environ | {"UV_NO_CONFIG": "1"}, check=False).returncode:
            msg = f"{name} could not be fetched: see the lines above"
            raise Unsupported(msg)
        for first in target.rglob("*.zip.001"):
            _unpack(first, target / "unpacked")
        shutil.rmtree(place, ignore_errors=True)
        target.rename(place)


def _unpack(first: Path, folder: Path) -> None:
    """Unpack a zip file that was split into numbered parts, which may be in different folders."""
    parts = sorted(first.parents[2].rglob(f"{first.stem}.[0-9][0-9][0-9]"), key=lambda part: part.suffix)
    with tempfile.TemporaryFile() as whole:
        for part in parts:
            with part.open("rb") as content:
                shutil.copyfileobj(content, whole)
            part.unlink()
        zipfile.ZipFile(whole).extractall(folder)


def _model(place: Path) -> Path | None:
    """Return the Sentence Transformers folder in `place`; None if there is none, or more than one."""
    found = [path.parent for path in place.rglob("modules.json")]
    return found[0] if len(found) == 1 else None


def _intact(folder: Path, files: Mapping[str, str]) -> bool:
    return all((folder / name).is_file() and sha256(folder / name) == digest for name, digest in files.items())


def sha256(path: Path) -> str:
    """Return the sha256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
