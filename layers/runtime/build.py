"""Finish the runtime layer: delete what prune.txt lists, trim botocore's data, compile to bytecode, and check the size.

Law: imports only the standard library, because `sam build` runs it before the project's modules can be imported.
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
    """Delete the paths that match the glob of each line, except for the names after `except`."""
    for line in lines:
        glob, *names = line.replace(" except ", " ").split()
        unwanted = [path for path in folder.glob(glob) if path.name not in names]
        if not unwanted:
            sys.exit(f"prune.txt: {glob!r} matches nothing in the runtime layer: correct the line or delete it.")
        for path in unwanted:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def trim_endpoints(data: Path) -> None:
    """Delete the services without a description in `data` from botocore's list of endpoints.

    The first client reads the whole list of 1.25 MB, which takes a fifth of the time for creating that client.
    """
    descriptions = [json.loads(gzip.decompress(file.read_bytes())) for file in data.glob("*/*/service-2.json.gz")]
    kept = {description["metadata"]["endpointPrefix"] for description in descriptions}
    if not kept:
        sys.exit("botocore's descriptions of services have moved: correct trim_endpoints.")
    file = data / "endpoints.json"
    endpoints = json.loads(file.read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: found for name, found in partition["services"].items() if name in kept}
    file.write_text(json.dumps(endpoints, separators=(",", ":")), encoding="utf-8")


def trim_descriptions(data: Path) -> None:
    """Delete the documentation in botocore's descriptions of services: four fifths of the bytes that a new client reads."""
    for file in data.glob("*/*/service-2.json.gz"):
        trimmed = json.dumps(_undocumented(json.loads(gzip.decompress(file.read_bytes()))), separators=(",", ":"))
        file.write_bytes(gzip.compress(trimmed.encode(), mtime=0))


def _undocumented(description: object) -> object:
    if isinstance(description, list):
        return [_undocumented(item) for item in description]
    if not isinstance(description, dict):
        return description
    # A member of a shape may have the name `documentation` too; its value is an object.
    return {
        name: "" if name == "documentation" and isinstance(value, str) else _undocumented(value)
        for name, value in description.items()
    }


def compile_bytecode(folder: Path) -> None:
    """Write the .pyc files. Lambda's folders are read-only, so without these files every cold start would compile all modules.

    Hashes are not checked at run time, because no source changes there. The files contain no times and no paths of this machine.
    """
    compiled = compileall.compile_dir(
        folder, quiet=1, stripdir=folder, prependdir=LAMBDA_PATH, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    if not compiled:
        sys.exit("The runtime layer does not compile.")


def megabytes(folder: Path) -> float:
    """Return the size of a folder as Lambda counts it: the sum of the sizes of its files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    """Finish the layer in the folder that the command line names."""
    folder = Path(sys.argv[1]).resolve()
    lines = Path(__file__).with_name("prune.txt").read_text().splitlines()
    prune(folder, [content for line in lines if (content := line.partition("#")[0].strip())])
    trim_endpoints(folder / "botocore" / "data")
    trim_descriptions(folder / "botocore" / "data")
    compile_bytecode(folder)
    size = megabytes(folder)
    print(f"Runtime layer: {size:.1f} MB unzipped, .pyc included (budget {BUDGET_MB} MB)")
    if size > BUDGET_MB:
        sys.exit(f"The runtime layer is over its budget of {BUDGET_MB} MB.")


if __name__ == "__main__":
    main()
