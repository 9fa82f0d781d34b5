"""The zip files of a release, of small builds."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from layers.release import Different, release


def built(folder: Path, processor: str, code: str = "code") -> Path:
    """A build as `sam build` makes it."""
    files = {
        "ApiFunction/handler/a.py": code, "PipelineFunction/handler/a.py": code, "ModelLayer/model/manifest.json": "{}",
        "RuntimeLayer/python/library.so": processor, "RuntimeLayer/python/b.py": "b",
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_a_release_has_the_function_the_model_and_the_libraries_of_each_processor(tmp_path: Path) -> None:
    """With the sums of all, as `sha256sum --check` reads them."""
    builds = {processor: built(tmp_path / processor, processor) for processor in ("x86_64", "arm64")}
    lines = release(builds, tmp_path / "out")
    assert [line.partition("  ")[2] for line in lines] == ["function.zip", "model.zip", "runtime-arm64.zip", "runtime-x86_64.zip"]
    assert (tmp_path / "out/SHA256SUMS").read_text().splitlines() == lines
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    with zipfile.ZipFile(tmp_path / "out/runtime-arm64.zip") as archive:
        assert archive.namelist() == ["python/b.py", "python/library.so"]
        assert archive.read("python/library.so") == b"arm64"
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}  # Lambda reads as another user


def test_the_same_build_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whenever, and in whatever order its files were written."""
    first = release({"x86_64": built(tmp_path / "a", "x86_64")}, tmp_path / "one")
    again = built(tmp_path / "b", "x86_64")
    for path in again.rglob("*.py"):
        os.utime(path, (1, 1))
    assert release({"x86_64": again}, tmp_path / "two") == first


def test_code_that_differs_between_processors_is_no_release(tmp_path: Path) -> None:
    """There is one zip of it."""
    builds = {"x86_64": built(tmp_path / "x86_64", "x86_64"), "arm64": built(tmp_path / "arm64", "arm64", code="other")}
    with pytest.raises(Different, match=r"arm64/ApiFunction differs from .*x86_64/ApiFunction"):
        release(builds, tmp_path / "out")
