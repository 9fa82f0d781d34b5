"""Download models from S3, and upload built ones. AWS_ENDPOINT_URL can name another service with the same protocol.

A file that is here with the same size and ETag is not downloaded again. An interrupted download resumes.
"""

import fnmatch
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from handler.embedding.manifest import MANIFEST, Manifest
from layers.model.configuration import Unsupported, inside
from layers.model.downloads import patterns
from layers.model.onnx_files import OnnxFile

INDEX = ".objects.json"
"""The file with the last list of the objects under the prefix: the size and the ETag of each."""
CHUNK = 8 << 20
SECONDS = 10
WRITE_SECONDS = 120
"""The timeout of uploads: S3 needs time to assemble a large object from its parts."""

type Objects = Mapping[str, Any]
type Say = Callable[[str], None]


def fetch(uri: str, cache: Path, exported: OnnxFile | None, say: Say) -> Path:
    """Return the folder of the model under `uri`, s3://bucket/prefix.

    Raises:
        Unsupported: the prefix is empty, or a file is missing here and cannot be downloaded.
    """
    bucket, _, prefix = uri.removeprefix("s3://").rstrip("/").partition("/")
    folder = cache / "s3" / bucket / prefix
    folder.mkdir(parents=True, exist_ok=True)
    client = _client()
    try:
        objects = _listed(client, bucket, prefix, folder, say)
        if not objects:
            msg = f"there is nothing under {uri}"
            raise Unsupported(msg)
        for wanted in patterns(folder, exported):
            _fetch(client, (bucket, prefix), folder, _chosen(objects, wanted), say)
    except (BotoCoreError, ClientError) as error:
        msg = f"{uri} cannot be read: {error}"
        raise Unsupported(msg) from None
    return folder


def push(folder: Path, manifest: Manifest, uri: str, say: Say) -> None:
    """Upload a built model to `uri`. The manifest is uploaded last, so that it never names a file that is missing.

    A model is never replaced by another one: a function that starts at that time would read parts of both.

    Raises:
        Unsupported: the upload fails, or another model is there.
    """
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    client = _client(WRITE_SECONDS)
    try:
        if _manifest_at(client, bucket, prefix) not in {None, (folder / MANIFEST).read_bytes()}:
            msg = f"{uri} has another model: name another prefix, and delete that one when nothing is served from it"
            raise Unsupported(msg)
        for name in (*manifest.files, MANIFEST):
            size = (folder / name).stat().st_size
            client.upload_file(str(folder / name), bucket, f"{prefix}/{name}", Callback=_Progress(f"Pushing {name}", size, say))
    except (BotoCoreError, ClientError, Boto3Error) as error:
        msg = f"{uri} cannot be written: {error}"
        raise Unsupported(msg) from None


def _manifest_at(client: Any, bucket: str, prefix: str) -> bytes | None:  # noqa: ANN401 - boto3 has no types
    try:
        content: bytes = client.get_object(Bucket=bucket, Key=f"{prefix}/{MANIFEST}")["Body"].read()
    except ClientError as error:
        # Without the right to list, S3 says AccessDenied for an object that does not exist.
        if error.response["Error"]["Code"] in {"NoSuchKey", "AccessDenied"}:
            return None
        raise
    return content


class _Progress:
    """Report each quarter of a file. boto3 calls it from its threads with the number of bytes that it has sent."""

    def __init__(self, label: str, size: int, say: Say) -> None:
        self._label, self._size, self._say = label, size, say
        self._done, self._reported = 0, 0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> None:
        with self._lock:
            self._done += count
            quarters = 4 * self._done // self._size
            if quarters > self._reported:
                self._reported = quarters
                self._say(f"{self._label}: {25 * quarters} % of {self._size / 1e6:.3g} MB")


def _client(read_timeout: int = SECONDS) -> Any:  # noqa: ANN401
    options = Config(connect_timeout=SECONDS, read_timeout=read_timeout, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("s3", config=options)


def _listed(client: Any, bucket: str, prefix: str, folder: Path, say: Say) -> Objects:  # noqa: ANN401 - boto3 has no types
    """Return the objects under the prefix, by their path below it. If S3 cannot be reached, return the last list."""
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        found = [entry for page in pages for entry in page.get("Contents", [])]
    except EndpointConnectionError:
        if not (folder / INDEX).exists():
            raise
        say("S3 cannot be reached: using what was fetched before")
        seen: Objects = json.loads((folder / INDEX).read_text())
        return seen
    objects = {entry["Key"][len(prefix) + 1 :]: {"size": entry["Size"], "tag": entry["ETag"]} for entry in found}
    (folder / INDEX).write_text(json.dumps(objects))
    return {name: entry for name, entry in objects.items() if name and not name.endswith("/")}


def _chosen(objects: Objects, patterns: tuple[str, ...]) -> Objects:
    return {name: entry for name, entry in objects.items() if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def _fetch(client: Any, place: tuple[str, str], folder: Path, objects: Objects, say: Say) -> None:  # noqa: ANN401
    for name, entry in objects.items():
        path = inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        tag = path.with_name(f".{path.name}.tag")
        if path.exists() and path.stat().st_size == entry["size"] and tag.exists() and tag.read_text() == entry["tag"]:
            continue
        say(f"Fetching {name}: {entry['size'] / 1e6:.1f} MB")
        part = path.with_name(f".{path.name}.{entry['tag'].strip('"')}.part")
        _continue(client, {"Bucket": place[0], "Key": f"{place[1]}/{name}", "IfMatch": entry["tag"]}, part, entry["size"])
        part.rename(path)
        tag.write_text(entry["tag"])


def _continue(client: Any, wanted: Mapping[str, str], part: Path, size: int) -> None:  # noqa: ANN401
    """Download the rest of an object into `part`, whose name contains the object's ETag."""
    have = part.stat().st_size if part.exists() else 0
    with part.open("ab") as file:
        if have < size:
            for chunk in client.get_object(**wanted, Range=f"bytes={have}-")["Body"].iter_chunks(CHUNK):
                file.write(chunk)
    if part.stat().st_size != size:
        msg = f"{wanted['Key']} in {wanted['Bucket']} came with {part.stat().st_size} of {size} bytes: run this again to resume"
        raise Unsupported(msg)
