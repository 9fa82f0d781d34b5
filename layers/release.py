"""Write the function and its layers as zip files, for Terraform, CDK or the console. `make release` runs this.

The function's code and the model are the same for both processors, so there is one file of each. Libraries have a file for each
processor. The same build gives the same bytes, so that the sha256 shows whether anything changed.
"""

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

CODE, RUNTIME, MODEL = "ApiFunction", "RuntimeLayer", "ModelLayer"
"""The folders of `sam build`. The folder PipelineFunction has the same code as ApiFunction."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a zip: the earliest that the format has."""
SUMS = "SHA256SUMS"


class Different(Exception):  # noqa: N818 - says what it found
    """Code or model differ between the builds for two processors."""


def pack(folder: Path, to: Path) -> None:
    """Write a folder's files into a zip, sorted by path, without times and owners."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
            archive.writestr(entry, path.read_bytes())


def release(builds: Mapping[str, Path], out: Path) -> list[str]:
    """Write all zips and the file of their sha256 sums; return the lines of that file.

    Args:
        builds: the folder of a build for each processor.
        out: where the zips are written.

    Raises:
        Different: code or model of the builds differ.
    """
    out.mkdir(parents=True, exist_ok=True)
    first = next(iter(builds.values()))
    for name in (CODE, "PipelineFunction", MODEL):
        for build in builds.values():
            expected = first / (CODE if name == "PipelineFunction" else name)
            if _contents(build / name) != _contents(expected):
                msg = f"{build / name} differs from {expected}"
                raise Different(msg)
    folders = {"function.zip": first / CODE, "model.zip": first / MODEL}
    folders |= {f"runtime-{processor}.zip": build / RUNTIME for processor, build in builds.items()}
    lines = []
    for name, folder in sorted(folders.items()):
        pack(folder, out / name)
        lines.append(f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}")
    (out / SUMS).write_text("\n".join([*lines, ""]))
    return lines


def _contents(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file in a folder, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    """Write the zips that the command line names: PROCESSOR=FOLDER for each build, and the folder to write to."""
    parser = argparse.ArgumentParser(prog="python -m layers.release", description="Write the function and its layers as zip files.")
    parser.add_argument("builds", nargs="+", metavar="PROCESSOR=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    builds = {name: Path(folder) for name, _, folder in (build.partition("=") for build in arguments.builds)}
    try:
        print("\n".join(release(builds, arguments.out)))
    except Different as error:
        sys.exit(f"{error}.")


if __name__ == "__main__":
    main()
