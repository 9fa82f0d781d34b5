"""Write what Lambda gets as zip files, for Terraform, CDK or the console: `make release` runs this.

The function's code and the model are the same for both processors, and are written once; the libraries are written for each.
The same build gives the same bytes, so that sha256 says whether anything changed.
"""

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

CODE, RUNTIME, MODEL = "ApiFunction", "RuntimeLayer", "ModelLayer"
"""The folders that `sam build` makes; both functions have the same code."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a zip: a zip knows no earlier one."""
SUMS = "SHA256SUMS"


class Different(Exception):  # noqa: N818 - says what it found
    """Something that is to be the same for both processors is not."""


def pack(folder: Path, to: Path) -> None:
    """Write a folder's files into a zip, in their order and without times or owners."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
            archive.writestr(entry, path.read_bytes())


def release(builds: Mapping[str, Path], out: Path) -> list[str]:
    """Write all zips and their sums; returns the lines of the sums.

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
    """The digest of every file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    """Read the command line: PROCESSOR=FOLDER for each build, and where to write."""
    parser = argparse.ArgumentParser(prog="python -m layers.release", description="Write what Lambda gets as zip files.")
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
