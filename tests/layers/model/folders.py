"""Write the configuration files of a Sentence Transformers folder, for tests and tools."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def modules(*kinds: str) -> list[dict[str, Any]]:
    """Return the content of modules.json: the library's modules of these kinds, each but the first in a folder of its own."""
    return [
        {"idx": place, "name": str(place), "path": place_of(place, kind), "type": f"sentence_transformers.models.{kind}"}
        for place, kind in enumerate(kinds)
    ]


def place_of(place: int, kind: str) -> str:
    """Return the folder of a module, as the library names it."""
    return f"{place}_{kind}" if place else ""


def write(folder: Path, files: Mapping[str, Any]) -> Path:
    """Write each file's content as JSON; return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder
