"""Measure each family of encoders on a tiny random model: how close its vectors are to the official library's.

The models are the references of the builder's tests. Trained models lose less as int8 than random ones.
"""

import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from handler.service import Options, Service
from layers.model.builder import Order, build
from layers.model.corpus import passages
from layers.model.fidelity import Fidelity
from layers.model.sources import Source
from tests.conftest import serve
from tests.layers.model import references

from .effort import Effort
from .tables import Table

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "BERT": ("bert", "prompts"),
    "RoBERTa": ("roberta",),
    "XLM-RoBERTa": ("xlm-roberta",),
    "MPNet": ("mpnet", "mpnet-far"),
    "DistilBERT": ("distilbert",),
    "ELECTRA": ("electra",),
    "NomicBERT": ("nomic", "nomic-own-code"),
    "Qwen 2": ("qwen2",),
    "Qwen 3": ("qwen3", "qwen3-sliding"),
    "ModernBERT": ("modernbert",),
    "GTE": ("gte", "gte-new"),
    "Gemma 3": ("gemma3", "gemma3-causal"),
    "JinaBERT v2": ("jina", "jina-code"),
    "EuroBERT": ("eurobert",),
}
"""The reference models of each family."""
PASSAGES = 250
BOUNDS = (0.9975, 0.98)
"""The cosines below which a model gets finer steps: a little lower than the builder's, because random models lose more."""


def tables(effort: Effort) -> Iterator[Table]:
    """Make one row for each family: its worst text in float32, and its worst model as int8."""
    rows = []
    count = min(effort.scored_passages, PASSAGES)
    chosen = dict(islice(FAMILIES.items(), effort.families))
    with tempfile.TemporaryDirectory() as scratch:
        for family, names in chosen.items():
            figures = [_figures(name, Path(scratch, name), count) for name in names]
            texts = sum(len(references.load(name)["rows"]) for name in names)
            exact, mean, least = (min(values) for values in zip(*(cosines for cosines, _ in figures), strict=True))
            steps = "fine" if any(is_fine for _, is_fine in figures) else "coarse"
            rows.append((family, texts, exact, mean, least, steps))
    yield Table(
        "Families: cosines of tiny random models",
        [
            "fp32: the least cosine of any text to the official library's vector;",
            f"int8: {count} passages against the model's own fp32 vectors, the worst model of the family;",
            f"fine: its mean or minimum was below {BOUNDS[0]} or {BOUNDS[1]} with coarse steps",
        ],
        {"family": "s", "texts": "d", "fp32 minimum": ".7f", "int8 mean": ".5f", "int8 minimum": ".4f", "steps": "s"},
        rows,
    )


def _figures(name: str, folder: Path, count: int) -> tuple[tuple[float, float, float], bool]:
    """Return the least cosine to the official library in float32, the mean and least cosine as int8, and whether steps are fine."""
    source = Source(references.write(name, folder / "source"), name, "1")
    services, told = {}, list[str]()
    for precision in ("fp32", "int8"):
        build(Order(source, folder / precision, precision, BOUNDS, threads=1, passages=count), told.append)
        services[precision] = serve(folder / precision, THREADS="1")
    reference = references.load(name)
    exact = min(_cosine(services["fp32"], row) for row in reference["rows"])
    texts = passages("scoring", count)
    vectors = [service.embed(texts, Options()).vectors for service in (services["int8"], services["fp32"])]
    fidelity = Fidelity.of(*vectors)
    is_fine = any("finer steps" in sentence for sentence in told)
    return (exact, fidelity.mean_cosine, fidelity.minimum_cosine), is_fine


def _cosine(service: Service, row: Mapping[str, Any]) -> float:
    options = Options(prompt_name=row["prompt_name"], truncation_direction=row["side"])
    ours = service.embed([row["text"]], options).vectors[0].astype(np.float64)
    theirs = np.array(row["vector"])
    return min(1.0, float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)))
