"""Models from S3, or from whatever speaks its protocol at AWS_ENDPOINT_URL; credentials are found as boto3 finds them.

What has arrived stays: a file of the same size and tag is not fetched again, and one that was cut off is continued.
"""

import fnmatch
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from layers.model.configuration import Unsupported, inside
from layers.model.specification import CONFIGURATION_FILES, weight_files

INDEX = ".objects.json"
"""What the prefix held when it was last listed: each object's size and tag."""
CHUNK = 8 << 20
SECONDS = 10

type Objects = Mapping[str, Any]
type Say = Callable[[str], None]


def fetch(uri: str, cache: Path, exported: str | None, say: Say) -> Path:
    """The folder of the model under `uri`, s3://bucket/prefix.

    Raises:
        Unsupported: the prefix is empty, or cannot be read while something is missing here.
    """
    bucket, _, prefix = uri.removeprefix("s3://").rstrip("/").partition("/")
    folder = cache / "s3" / bucket / prefix
    folder.mkdir(parents=True, exist_ok=True)
    options = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"mode": "standard", "total_max_attempts": 3})
    client = boto3.client("s3", config=options)
    try:
        objects = _listed(client, bucket, prefix, folder, say)
        if not objects:
            msg = f"there is nothing under {uri}"
            raise Unsupported(msg)
        _fetch(client, (bucket, prefix), folder, _chosen(objects, CONFIGURATION_FILES), say)
        _fetch(client, (bucket, prefix), folder, _chosen(objects, weight_files(folder, exported)), say)
    except (BotoCoreError, ClientError) as error:
        msg = f"{uri} cannot be read: {error}"
        raise Unsupported(msg) from None
    return folder


def _listed(client: Any, bucket: str, prefix: str, folder: Path, say: Say) -> Objects:  # noqa: ANN401 - boto3 has no types
    """The objects under the prefix by their path below it; those last seen if S3 cannot be reached."""
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        found = [entry for page in pages for entry in page.get("Contents", [])]
    except EndpointConnectionError:
        if not (folder / INDEX).exists():
            raise
        say("S3 cannot be reached: going on with what was fetched before")
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
    """Append to `part`, which is named by the object's tag, what it lacks of its object."""
    have = part.stat().st_size if part.exists() else 0
    with part.open("ab") as file:
        if have < size:
            for chunk in client.get_object(**wanted, Range=f"bytes={have}-")["Body"].iter_chunks(CHUNK):
                file.write(chunk)
    if part.stat().st_size != size:
        msg = f"{wanted['Key']} in {wanted['Bucket']} came with {part.stat().st_size} of {size} bytes: run this again to go on"
        raise Unsupported(msg)
