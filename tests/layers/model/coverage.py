"""Show which of some widely used models the builder accepts, how it builds them, and why it refuses the others (`make coverage`).

used_models.json has the known facts of each repository: the names of its files, its modules, its tokenizer's class, and its
`family`, whose config.json is that of a real model. Sizes are the family's, because no decision depends on a size. `unsure` names
facts that were not seen in the repository; such files are left out. No weights are fetched: layers/model/preview.py decides from
these files.
"""

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from layers.model.configuration import Unsupported
from layers.model.networks import Export, Static, Written
from layers.model.preview import Preview
from tests.benchmarks.tables import Cell, Table, say
from tests.layers.model import folders

MODELS = Path(__file__).with_name("used_models.json")
SENTENCE = re.compile(r"Of \d+ much used models the builder takes [^.]*\.")
"""The sentence that pages of documentation have, with whatever numbers."""
HIDDEN = ("hidden_size", "dim", "n_embd", "hidden_dim")
"""The fields of config.json that can have the length of a token's vector."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of the builder on one model: the preview, or the sentence that refuses it."""

    model: str
    family: str
    taken: Preview | None
    refusal: str

    def __str__(self) -> str:
        """Return one line to print."""
        if self.taken is None:
            return f"refused  {self.model}: {self.refusal}"
        reason = f": {self.taken.reason}" if self.taken.reason else ""
        return f"taken    {self.model}, from {self.taken.made_from} ({self.taken.architecture}){reason}"


@cache
def decisions() -> tuple[Decision, ...]:
    """Return the builder's decision on each model."""
    content = json.loads(MODELS.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        return tuple(_decided(Path(scratch), content["families"], model) for model in content["models"])


def sentence() -> str:
    """Return the sentence with the numbers of today."""
    found = decisions()
    ways = Counter(decision.taken.made_from for decision in found if decision.taken)
    return (
        f"Of {len(found)} much used models the builder takes {ways.total()}: {ways[Written.made_from]} are written from their "
        f"weights, {ways[Export.made_from]} are made from their own ONNX file, and {ways[Static.made_from]} are tables of vectors."
    )


def tables() -> Iterator[Table]:
    """Yield what layers/model/README.md shows: how many of each family are taken by which way, and what refuses the others."""
    found = decisions()
    rows: list[list[Cell]] = []
    for family in dict.fromkeys(decision.family for decision in found):
        ways = Counter(decision.taken.made_from if decision.taken else "" for decision in found if decision.family == family)
        counts = [ways[way] for way in (Written.made_from, Export.made_from, Static.made_from, "")]
        rows.append([family, ways.total(), *counts])
    columns = {"family": "s", "models": "d", "from weights": "d", "from ONNX": "d", "tables": "d", "refused": "d"}
    yield Table("Coverage", ["`make coverage` prints the decision on each model"], columns, rows)
    refused = [(decision.model, decision.refusal) for decision in found if decision.taken is None]
    yield Table("Refused models", ["the sentences are the builder's own"], {"model": "s", "refused because": "s"}, refused)


def _decided(scratch: Path, families: Mapping[str, Any], model: Mapping[str, Any]) -> Decision:
    folder = write(scratch / model["name"], families[model["family"]] | model.get("config", {}), model)
    try:
        return Decision(model["name"], model["family"], Preview.read(folder), "")
    except Unsupported as refusal:
        return Decision(model["name"], model["family"], None, str(refusal).replace(f" in {folder}", ""))


# --- Folders ----------------------------------------------------------------------------------------------


def write(folder: Path, config: Mapping[str, Any], model: Mapping[str, Any]) -> Path:
    """Write a model's configuration files, and empty files in place of its weights and its tokenizer."""
    hidden = next((config[field] for field in HIDDEN if field in config), 0)
    kinds = [module.partition(" ")[0] for module in model["modules"]]
    files: dict[str, Any] = {
        "modules.json": _modules(kinds),
        **({"config.json": config} if config else {}),
        "tokenizer_config.json": {"tokenizer_class": model["tokenizer"], "model_max_length": 512},
        "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {name: f"{name}: " for name in model.get("prompts", [])}},
    }
    for place, module in enumerate(model["modules"]):
        kind, _, how = module.partition(" ")
        if kind in CONFIGURATIONS:
            files[f"{folders.place_of(place, kind)}/config.json"] = CONFIGURATIONS[kind](hidden, how)
    shards = [name for name in model["files"] if name.startswith("model-0")]
    if shards:
        files["model.safetensors.index.json"] = {"weight_map": {f"tensor.{place}": name for place, name in enumerate(shards)}}
    folders.write(folder, files)
    dense = [f"{folders.place_of(place, kind)}/model.safetensors" for place, kind in enumerate(kinds) if kind == "Dense"]
    for name in ("tokenizer.json", *model["files"], *dense):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


def _modules(kinds: Sequence[str]) -> list[dict[str, Any]]:
    """A kind with a dot is the whole name of a class of the repository's own."""
    listed = folders.modules(*kinds)
    return [module | ({"type": kind} if "." in kind else {}) for module, kind in zip(listed, kinds, strict=True)]


def _pooling(hidden: int, mode: str) -> dict[str, Any]:
    return {"word_embedding_dimension": hidden, "pooling_mode": mode}


def _dense(hidden: int, activation: str) -> dict[str, Any]:
    kind = "linear" if activation == "Identity" else "activation"
    sizes = {"in_features": hidden, "out_features": hidden}
    return sizes | {"bias": activation != "Identity", "activation_function": f"torch.nn.modules.{kind}.{activation}"}


CONFIGURATIONS = {"Pooling": _pooling, "Dense": _dense}
"""Modules with a configuration file, which says how they do it."""


def main() -> int:
    """Print the decision on each model, and how many are taken."""
    for decision in decisions():
        say(str(decision))
    say(f"\n{sentence()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
