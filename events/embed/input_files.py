"""The files of an input: one file, all files in a folder, or all objects of S3 under a prefix."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from events.embed.progress import Refused, fingerprint
from handler.aws import UNUSABLE, Client, connect, error_name
from handler.errors import Backend, Validation
from handler.records import StoredObject
from handler.sources.s3_objects import ObjectContent

READ_BYTES = 1024 * 1024
READ_SECONDS, ATTEMPTS = 10, 3
S3 = "s3://"


class Content(Protocol):
    """A file's bytes. `offset` is the offset up to which they were read."""

    name: str
    offset: int

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on."""
        ...


class InputFile(Protocol):
    """A file of the input: the name that its records have in their ids, and its size in bytes."""

    @property
    def name(self) -> str: ...  # noqa: D102 - see above
    @property
    def size(self) -> int: ...  # noqa: D102 - see above
    @property
    def fingerprint(self) -> str:
        """A digest that another or a changed file does not have."""
        ...

    def open(self) -> Content:
        """Return the bytes."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine."""

    path: Path
    name: str
    size: int

    @property
    def fingerprint(self) -> str:
        """A digest of its size, its beginning and its end."""
        return fingerprint(self.path)

    def open(self) -> Content:
        """Return the bytes."""
        return LocalContent(self.path, self.name)


class LocalContent:
    """The bytes of a file on this machine."""

    def __init__(self, path: Path, name: str) -> None:
        """Read `path`."""
        self._path = path
        self.name = name
        self.offset = 0

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on."""
        with self._path.open("rb") as file:
            file.seek(offset)
            while part := file.read(READ_BYTES):
                self.offset = file.tell()
                yield part


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object of S3, in the state in which it was listed. Its name is its key, as in the pipeline."""

    client: Client
    stored: StoredObject
    size: int

    @property
    def name(self) -> str:
        """The key."""
        return self.stored.key

    @property
    def fingerprint(self) -> str:
        """The ETag."""
        return str(self.stored.etag)

    def open(self) -> Content:
        """Return the bytes."""
        return StoredContent(self.client, self.stored)


class StoredContent:
    """The bytes of an object of S3."""

    def __init__(self, client: Client, stored: StoredObject) -> None:
        """Read `stored`."""
        self._object = ObjectContent(client, stored)
        self._uri = stored.uri
        self.name = stored.key
        self.offset = 0

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on.

        Raises:
            Refused: S3 does not return them, or the object was changed or deleted since the command began.
        """
        try:
            for part in self._object.read(offset):
                offset += len(part)
                self.offset = offset
                yield part
        except Validation as error:
            msg = f"{self._uri} was changed or deleted since the command began"
            raise Refused(msg) from error
        except Backend as error:
            raise Refused(str(error)) from error


def list_folder(folder: Path) -> Sequence[InputFile]:
    """Return all files in a folder and in the folders in it, without those whose names begin with a dot."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [LocalFile(path, path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths]
    return [file for file in files if not _is_hidden(file.name)]


def list_prefix(uri: str) -> Sequence[InputFile]:
    """Return all objects of S3 under a prefix, without those whose names begin with a dot.

    Raises:
        Refused: S3 does not list them.
    """
    bucket, _, prefix = uri.removeprefix(S3).partition("/")
    try:
        client = connect("s3", read_seconds=READ_SECONDS, attempts=ATTEMPTS)
        pages: list[dict[str, Any]] = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
    except UNUSABLE as error:
        msg = f"S3 cannot be reached: {error}"
        raise Refused(msg) from error
    except Exception as error:
        msg = f"S3 does not list {uri}: {error_name(error)}"
        raise Refused(msg) from error
    objects = [listed for page in pages for listed in page.get("Contents", ())]
    files = [StoredFile(client, StoredObject(bucket, one["Key"], etag=one["ETag"]), one["Size"]) for one in objects]
    return [file for file in files if not _is_hidden(file.name)]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
