"""Make the reference vectors: tiny random models, and the vectors that the official library computes with them.

Run it by hand from the root, in an environment with sentence-transformers, transformers, torch, onnx and model2vec. Versions 6.2.0,
5.23.0 or 5.24.0, 2.13.0 or 2.15.0, 1.23 and 0.10.0 made the committed files.

    python -m tests.layers.model.oracle tests/layers/model/references [CASE …]

Each case (cases.py) becomes one JSON file: the JSON files of the model, the names and shapes of its tensors (random_weights.py has
their values), and for each text the vector that `SentenceTransformer.encode` computes in float32. test_references.py compares ours
with it.
"""

import base64
import json
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as modules

from tests.layers.model.oracle.case import Case
from tests.layers.model.oracle.cases import CASES
from tests.layers.model.oracle.exports import export
from tests.layers.model.oracle.networks import LIMIT, fill


def build(case: Case, folder: Path) -> None:
    """Save the case's model, with random weights, as the official library does."""
    if case.table:
        case.table(folder)
        case.change(folder)
        return
    network, tokenizer = case.network()
    fill(network.eval())
    with tempfile.TemporaryDirectory() as plain:
        network.save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        transformer = modules.Transformer(plain, max_seq_length=case.limit) if case.limit else modules.Transformer(plain)
    steps = [transformer, modules.Pooling(transformer.get_embedding_dimension(), **case.pooling)]
    steps = [transformer, *case.steps(steps[1]), *(modules.Dense(**options) for options in case.dense)]
    for step in steps[1:]:
        fill(step)
    if case.normalize:
        steps.append(modules.Normalize())
    SentenceTransformer(modules=steps, device="cpu", **case.prompts).save(str(folder), create_model_card=False)
    case.change(folder)
    if case.exported:
        export(network, folder / "onnx/model.onnx")


def rows(case: Case, model: SentenceTransformer) -> Iterator[dict[str, Any]]:
    """Yield the vector of each text, with each prompt, truncated on each side."""
    for side in ("right",) if case.table else ("right", "left"):  # the library truncates no static model on the left
        if not case.table:
            model.tokenizer.truncation_side = side
        for text in case.texts:
            if side == "left" and len(text) < LIMIT:
                continue
            for prompt_name in (None, *case.prompts.get("prompts", {})):
                vector = model.encode(text, prompt_name=prompt_name, show_progress_bar=False)
                yield {
                    "text": text,
                    "prompt_name": prompt_name,
                    "side": side,
                    "vector": [float(f"{value:.7g}") for value in vector.astype(np.float64)],
                }


def described(folder: Path) -> dict[str, Any]:
    """Return the folder's files: JSON unchanged, types and shapes of tensors by their names, other files compressed."""
    files: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            files[name] = json.loads(path.read_text())
        elif path.suffix == ".safetensors" and not (path.parent / "onnx").exists():
            with safe_open(path, "pt") as content:
                slices = {key: content.get_slice(key) for key in content.keys()}  # noqa: SIM118 - no mapping: only its keys can be asked for
                files[name] = {key: [piece.get_dtype(), piece.get_shape()] for key, piece in slices.items()}
        elif path.name == "vocab.txt":
            files[name] = path.read_text(encoding="utf-8")
        elif path.suffix in {".onnx", ".bin"} or path.parent.name == "onnx":
            files[name] = base64.b64encode(zlib.compress(path.read_bytes(), 9)).decode()
    return files


def main() -> None:
    """Write the cases that the arguments name, or all."""
    out, *names = sys.argv[1:]
    for name in names or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "model")
            build(case, folder)
            model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32}).float().eval()
            if case.longest:
                model.max_seq_length = case.longest
            case.loaded(model, folder)
            computed = list(rows(case, model))
            case.afterwards(folder)
            reference = {"normalized": case.normalize, "rows": computed, "files": described(folder)}
        text = json.dumps(reference, ensure_ascii=False)
        Path(out, f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(reference['rows'])} vectors of {len(reference['rows'][0]['vector'])}, {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
