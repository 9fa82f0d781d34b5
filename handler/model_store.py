"""Where the model comes from: a folder, which is the layer, or S3 by way of a folder in /tmp.

Law: whoever gets a folder from here may load it: every byte was held against the manifest, once. What is trusted is the manifest;
MODEL_SHA256 says which.
"""

import ctypes
import errno
import fcntl
import gc
import hashlib
import shutil
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from handler import telemetry
from handler.config import Settings
from handler.embedding.manifest import MANIFEST, Manifest, sha256
from handler.errors import Backend

if TYPE_CHECKING:
    from handler.bucket import Bucket

CALLED = "MODEL_URI"
"""The prefix in sentences: they reach callers, whom the bucket's name is no business of. The log has it."""
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def opened(settings: Settings) -> tuple[Path, Manifest]:
    """The folder of the model that the settings name, ready to be loaded, and its manifest.

    Raises:
        Backend: something of it is missing, damaged or not the one that was meant; the sentence says what.
    """
    if not settings.model_uri:
        manifest = Manifest.read(settings.model_dir)
        _check_meant(manifest, settings)
        return settings.model_dir, manifest
    from handler.bucket import Bucket  # noqa: PLC0415 - 0.12 s for AWS's library that a model in a layer does not need

    started = time.monotonic()
    telemetry.log("model_wanted", uri=settings.model_uri)
    bucket = Bucket.at(settings.model_uri, CALLED)
    manifest = Manifest.parse(bucket.start(MANIFEST), CALLED)
    _check_meant(manifest, settings)
    try:
        folder, fetched = _fetched(bucket, settings, manifest)
    except OSError as error:
        raise _unwritable(settings.model_tmp, error) from None
    del bucket
    _release()
    telemetry.log("model_ready", fetched_bytes=fetched, seconds=round(time.monotonic() - started, 3))
    return folder, manifest


def _fetched(bucket: "Bucket", settings: Settings, manifest: Manifest) -> tuple[Path, int]:
    """The folder, with all files whole in it, and how many bytes were fetched for that."""
    folder = settings.model_tmp / settings.model_uri.removeprefix("s3://")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fetched = 0
    # On a laptop two processes may want the same model.
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, expected in manifest.files.items():
            if not _whole(folder, name, expected):
                fetched += _fetch(bucket, folder, name, expected)
    return folder, fetched


def _release() -> None:
    """Give back what fetching took before the session takes as much as the model is large: 4 MB of its peak."""
    gc.collect()  # a client is a circle of references
    with suppress(OSError, AttributeError):  # glibc's; other systems give back by themselves
        ctypes.CDLL(None).malloc_trim(0)


def _check_meant(manifest: Manifest, settings: Settings) -> None:
    if settings.model_sha256 not in {"", manifest.digest}:
        msg = (
            f"{MANIFEST} is not the one that MODEL_SHA256 (the parameter ModelSha256, where it is deployed) names: "
            f"if it is the one that is meant, that must be {manifest.digest}"
        )
        raise Backend(msg)


def _whole(folder: Path, name: str, expected: str) -> bool:
    """Whether the file is there from an earlier start of this environment, and whole; if not, it is gone."""
    path = folder / name
    if path.exists() and sha256(folder, name) == expected:
        return True
    path.unlink(missing_ok=True)
    return False


def _fetch(bucket: "Bucket", folder: Path, name: str, expected: str) -> int:
    """Fetch one file, hashed as it comes; it gets its name when it is whole. Its size."""
    part, digest, size = folder / f"{name}.part", hashlib.sha256(), 0
    try:
        with part.open("wb") as file, closing(bucket.parts(name)) as contents:
            for content in contents:
                digest.update(content)
                size += file.write(content)
        if digest.hexdigest() != expected:
            msg = (
                f"The file {name} in {CALLED} is damaged, cut short or another model's: it has {size} bytes "
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
