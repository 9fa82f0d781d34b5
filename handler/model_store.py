"""Find a model: in a folder, which is the layer, or in S3, from which it is fetched to a folder in /tmp.

Law: a folder that is returned from here can be loaded, because every byte was compared with the manifest. The manifest itself is
compared with the setting MODEL_SHA256, and trusted if that is not set.
"""

import errno
import fcntl
import hashlib
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from handler import telemetry
from handler.allocator import free_unused
from handler.config import ModelPlace
from handler.embedding.manifest import MANIFEST, Manifest, sha256
from handler.errors import Backend

if TYPE_CHECKING:
    from handler.bucket import Bucket

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def open_model(place: ModelPlace) -> tuple[Path, Manifest]:
    """Return the folder of the model at this place, ready to be loaded, and its manifest.

    Raises:
        Backend: a file is missing or damaged, or the manifest is not the expected one; the sentence says what.
    """
    if not place.uri:
        manifest = Manifest.read(place.directory)
        _check_expected(manifest, place)
        return place.directory, manifest
    from handler.bucket import Bucket  # noqa: PLC0415 - a model in a layer does not need AWS's library (0.12 s)

    started = time.monotonic()
    telemetry.log("model_wanted", uri=place.uri)
    # In sentences, a setting's name stands for the bucket and the prefix: callers should not learn them. The log has them.
    bucket = Bucket.at(place.uri, f"{place.name}_URI")
    manifest = Manifest.parse(bucket.start(MANIFEST), bucket.place)
    _check_expected(manifest, place)
    try:
        folder, fetched = _fetch_missing(bucket, place, manifest)
    except OSError as error:
        raise _unwritable(place.tmp, error) from None
    del bucket  # so that the session allocates no memory next to what fetching needed; that saves 4 MB at the peak
    free_unused()
    telemetry.log("model_ready", fetched_bytes=fetched, seconds=round(time.monotonic() - started, 3))
    return folder, manifest


def _fetch_missing(bucket: "Bucket", place: ModelPlace, manifest: Manifest) -> tuple[Path, int]:
    """Fetch the files that are missing; return the folder with all files, and the number of bytes that were fetched."""
    folder = place.tmp / place.uri.removeprefix("s3://")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fetched = 0
    # On a developer's machine, two processes may fetch the same model.
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, expected in manifest.files.items():
            if not _is_complete(folder, name, expected):
                fetched += _fetch(bucket, folder, name, expected)
    return folder, fetched


def _check_expected(manifest: Manifest, place: ModelPlace) -> None:
    if place.sha256 not in {"", manifest.digest}:
        setting, parameter = f"{place.name}_SHA256", f"{place.name.capitalize()}Sha256"
        msg = (
            f"{MANIFEST} has the sha256 {manifest.digest}, but {setting} (in a deployed stack, the parameter {parameter}) is "
            f"{place.sha256}. Set it to {manifest.digest} to serve this model"
        )
        raise Backend(msg)


def _is_complete(folder: Path, name: str, expected: str) -> bool:
    """Return whether an earlier start of this environment fetched the file completely; delete it if it is damaged."""
    path = folder / name
    if path.exists() and sha256(folder, name) == expected:
        return True
    path.unlink(missing_ok=True)
    return False


def _fetch(bucket: "Bucket", folder: Path, name: str, expected: str) -> int:
    """Fetch one file and return its size. It is hashed while it arrives, and gets its name when it is complete and correct."""
    part, digest, size = folder / f"{name}.part", hashlib.sha256(), 0
    try:
        with part.open("wb") as file, closing(bucket.parts(name)) as contents:
            for content in contents:
                digest.update(content)
                size += file.write(content)
        if digest.hexdigest() != expected:
            msg = (
                f"The file {name} in {bucket.place} is damaged, truncated or another model's: it has {size} bytes "
                f"and the sha256 {digest.hexdigest()[:12]}…, {MANIFEST} says {expected[:12]}…"
            )
            raise Backend(msg)
        part.rename(folder / name)
    finally:
        part.unlink(missing_ok=True)
    return size


def _unwritable(place: Path, error: OSError) -> Backend:
    if error.errno in NO_SPACE:
        return Backend(f"There is no space for the model in {place}: {shutil.disk_usage(place).free // 1_000_000} MB are free")
    return Backend(f"The model cannot be written to {place}: {error.strerror}")
