"""Finish the runtime layer: leave out what prune.txt lists and what nothing asks for then, compile the rest, weigh it.

Knows only the standard library: it is run by `sam build`, before anything of the project can be imported.
"""

import compileall
import gzip
import json
import shutil
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

LAMBDA_PATH = "/opt/python"
BUDGET_MB = 125


def prune(folder: Path, lines: list[str]) -> None:
    """Delete what the lines' globs match, but for the names after `except`."""
    for line in lines:
        glob, *names = line.replace(" except ", " ").split()
        doomed = [path for path in folder.glob(glob) if path.name not in names]
        if not doomed:
            sys.exit(f"prune.txt: {glob!r} matches nothing in the runtime layer: correct the line or delete it.")
        for path in doomed:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def trim_endpoints(data: Path) -> None:
    """Keep, of botocore's list of endpoints, those of the services whose descriptions are still in `data`.

    The first client reads the list whole: 1.25 MB, a fifth of what making that client takes.
    """
    descriptions = [json.loads(gzip.decompress(file.read_bytes())) for file in data.glob("*/*/service-2.json.gz")]
    kept = {description["metadata"]["endpointPrefix"] for description in descriptions}
    if not kept:
        sys.exit("botocore's descriptions of services are not where they were: correct trim_endpoints.")
    file = data / "endpoints.json"
    endpoints = json.loads(file.read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: found for name, found in partition["services"].items() if name in kept}
    file.write_text(json.dumps(endpoints, separators=(",", ":")), encoding="utf-8")


def trim_descriptions(data: Path) -> None:
    """Empty the documentation in botocore's descriptions of services: four fifths of what a client reads to be made."""
    for file in data.glob("*/*/service-2.json.gz"):
        trimmed = json.dumps(_undocumented(json.loads(gzip.decompress(file.read_bytes()))), separators=(",", ":"))
        file.write_bytes(gzip.compress(trimmed.encode(), mtime=0))


def _undocumented(described: object) -> object:
    if isinstance(described, list):
        return [_undocumented(item) for item in described]
    if not isinstance(described, dict):
        return described
    # A member of a shape may be called `documentation` too; that one is an object.
    return {
        name: "" if name == "documentation" and isinstance(value, str) else _undocumented(value)
        for name, value in described.items()
    }


def compile_bytecode(folder: Path) -> None:
    """Write the .pyc files. Lambda's folders are read-only: without these, every cold start compiles everything anew.

    Unchecked hashes, because no source changes there; and neither times nor this machine's paths get into the files.
    """
    compiled = compileall.compile_dir(
        folder, quiet=1, stripdir=folder, prependdir=LAMBDA_PATH, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    if not compiled:
        sys.exit("The runtime layer does not compile.")


def megabytes(folder: Path) -> float:
    """Weigh a folder as Lambda does, by the bytes of its files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    """Finish the folder that the command line names."""
    folder = Path(sys.argv[1]).resolve()
    lines = Path(__file__).with_name("prune.txt").read_text().splitlines()
    prune(folder, [stated for line in lines if (stated := line.partition("#")[0].strip())])
    trim_endpoints(folder / "botocore" / "data")
    trim_descriptions(folder / "botocore" / "data")
    compile_bytecode(folder)
    size = megabytes(folder)
    print(f"Runtime layer: {size:.1f} MB unzipped, .pyc included (budget {BUDGET_MB} MB)")
    if size > BUDGET_MB:
        sys.exit(f"The runtime layer is over its budget of {BUDGET_MB} MB.")


if __name__ == "__main__":
    main()
