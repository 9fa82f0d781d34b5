"""Build one model folder: read the source, check it, write the graph, measure it, write the manifest. A failure writes nothing."""

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from handler.embedding import encoders
from handler.embedding.manifest import GRAPH, MANIFEST, Manifest, sha256
from handler.embedding.tokenization import Tokenization
from layers.model import networks, ranges, tokenizer
from layers.model.configuration import Configuration, Unsupported
from layers.model.corpus import corpus_digest, passages
from layers.model.fidelity import Fidelity, ScoreFidelity
from layers.model.graph import ENCODER, portable
from layers.model.int8 import refine
from layers.model.networks import EXACT
from layers.model.overrides import Overrides
from layers.model.precision import AS_WRITTEN, PRECISIONS, Bounds
from layers.model.reference_layout import reference_digests
from layers.model.samples import CALIBRATION_PASSAGES, Pairs, Results, Samples, Sequences, Texts
from layers.model.sources import Source
from layers.model.specification import FILES, Exported, Specification
from layers.model.static import Table

SCORING_PASSAGES = 1000
TRIAL_PASSAGES = 32
"""The number of passages that an fp32 model is run on before it is written. It is compared with nothing."""

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """An order to build a model: from `source`, in `precision`, into the folder `out`.

    bounds: the cosines that the model must reach; None for those of the precision.
    passages: how many passages are used to compare the model with its float32 graph.
    overrides: settings that replace what the files say.
    sizes: the numbers of dimensions, besides all, for which int8 vectors get ranges; if empty, those that the model's files name.
    """

    source: Source
    out: Path
    precision: str
    bounds: Bounds | None
    threads: int
    passages: int = SCORING_PASSAGES
    overrides: Overrides = FILES
    sizes: tuple[int, ...] = ()


def build(order: Order, say: Say) -> Manifest:
    """Build one model folder. `order.out` is replaced only after everything has succeeded.

    Raises:
        Unsupported: the source cannot be served exactly, or the result is below its bounds.
    """
    _check_out(order.out)
    order.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=order.out.parent, prefix=f".{order.out.name}-") as scratch:
        folder, reference = Path(scratch, "model"), Path(scratch, "reference")
        say(f"Reading {order.source.model_id} from {order.source.folder}")
        specification = Specification.read(order.source.folder, order.source.exported, order.overrides)
        if not specification.listed and not specification.cross_encoder:
            say(_unlisted(specification))
        for place in (folder, reference):
            place.mkdir()
            tokenizer.write(specification, place, say if place is folder else lambda _: None)
        tokenizer.check_known(reference, passages("scoring", TRIAL_PASSAGES))
        if isinstance(specification.network, Exported) and specification.network.reason:
            say(f"Taking the model's own ONNX file: {specification.network.reason}")
        configured = Configuration.read(specification.transformer, "config.json", optional=True).get("matryoshka_dimensions")
        sizes = ranges.sizes(order.sizes, configured, order.source.card, specification.dimension)
        network = networks.read(specification)
        networks.check(network, order.precision)
        tokenization = Tokenization(reference, specification.max_length)
        samples = _samples(specification, tokenization)

        def write(place: Path, precision: str) -> Manifest:
            say(f"Writing the {precision} weights")
            network.write(place, precision, samples.calibration)
            return _write_manifest(place, order.source, specification, precision)

        manifest = write(folder, order.precision)
        if order.precision != EXACT:
            bounds = PRECISIONS[order.precision].scores if specification.cross_encoder else network.bounds[order.precision]
            exact, bounds = write(reference, EXACT), order.bounds or bounds
            del network  # free its weights: measuring loads both models

            def results(place: Path, known: Manifest) -> Results:
                return _results(order, place, known, samples, say)

            expected = results(reference, exact)
            fidelity = samples.fidelity(results(folder, manifest), expected)
            if _refined(folder, fidelity, bounds, say):
                manifest = _write_manifest(folder, order.source, specification, order.precision)
                fidelity = samples.fidelity(results(folder, manifest), expected)
            manifest = replace(manifest, fidelity=_accepted(order, fidelity, bounds, say))
        else:
            _try(order, folder, manifest, samples, say)
        if not specification.cross_encoder:
            say(f"Measuring the ranges of int8 vectors of {', '.join(map(str, (*sizes, manifest.dimension)))} dimensions")
            encoder = encoders.load(folder, manifest, order.threads)
            texts = passages("calibration", CALIBRATION_PASSAGES)
            measured = ranges.measure(encoder, tokenization, texts, list(manifest.prompts.values()))
            manifest = replace(manifest, ranges=ranges.ranges(measured, sizes))
        manifest.write(folder)
        if order.out.exists():
            order.out.rename(Path(scratch, "replaced"))
        folder.rename(order.out)
    return manifest


def _unlisted(specification: Specification) -> str:
    modes = "+".join(specification.modules.pooling.modes)
    normalized = "" if specification.modules.normalize else ", not normalized unless a request asks for it"
    return (
        "ATTENTION: modules.json is missing, so nothing says how this model pools. Like Sentence Transformers, this builder takes "
        f"the {modes} of the tokens' vectors{normalized}, with up to {specification.max_length} tokens and no prompts. "
        "If its card says otherwise, set POOLING, NORMALIZE and MAX_LENGTH"
    )


def _check_out(out: Path) -> None:
    """Check that `out` may be replaced: there is nothing, an empty folder, or a model that a builder wrote."""
    if not out.exists() or (out.is_dir() and not out.is_symlink() and (_is_model(out) or not any(out.iterdir()))):
        return
    msg = f"{out} exists and is no model folder: name another OUT, it would be replaced"
    raise Unsupported(msg)


def _is_model(folder: Path) -> bool:
    try:
        named = json.loads((folder / MANIFEST).read_bytes())["files"].keys()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return {path.name for path in folder.iterdir()} <= {MANIFEST, *named}


def _write_manifest(folder: Path, source: Source, specification: Specification, precision: str) -> Manifest:
    """Write the manifest of `folder`, which already has all other files."""
    network = specification.network
    manifest = Manifest(
        model_id=source.model_id,
        revision=source.revision,
        license=source.license,
        architecture=specification.architecture,
        precision=precision,
        dimension=specification.dimension,
        max_length=specification.max_length,
        pooling="+".join(specification.modules.pooling.modes),
        include_prompt=specification.modules.pooling.include_prompt,
        similarity=specification.similarity,
        prompts=specification.prompts,
        default_prompt_name=specification.default_prompt_name,
        files={path.name: sha256(folder, path.name) for path in sorted(folder.iterdir()) if path.name != MANIFEST},
        sources=source.digests(network.path if isinstance(network, Exported) else None),
        fidelity={},
        ranges={},
        codec=PRECISIONS[precision].codec,
        overrides=dict(specification.overrides),
        activation=specification.cross_encoder.activation if specification.cross_encoder else "",
        **(_of_table() if isinstance(network, Table) else _of_graph(folder, precision)),
    )
    manifest.write(folder)
    return manifest


def _of_table() -> dict[str, Any]:
    """Return the fields of a manifest that say how a table is loaded."""
    return {
        "encoder": "static",
        "reference_files": {},
        "portable": True,
        "operators": False,
        "loading": AS_WRITTEN,
        "loading_where_bytes_saturate": AS_WRITTEN,
    }


def _of_graph(folder: Path, precision: str) -> dict[str, Any]:
    """Return the fields of a manifest that say how the graph in `folder` is loaded."""
    graph, traits = onnx.load(folder / GRAPH, load_external_data=False), PRECISIONS[precision]
    is_portable = portable(graph)
    return {
        "encoder": "onnx",
        "reference_files": reference_digests(folder, graph),
        "portable": is_portable,
        "operators": any(node.domain == ENCODER for node in graph.graph.node),
        "loading": traits.loading,
        "loading_where_bytes_saturate": traits.loading if is_portable else traits.loading_where_bytes_saturate,
    }


def _samples(specification: Specification, tokenization: Tokenization) -> Samples:
    """Return what the model is measured with."""
    if not specification.cross_encoder:
        return Texts(tokenization)
    default = specification.default_prompt_name
    return Pairs(tokenization, "" if default is None else specification.prompts[default])


def _refined(folder: Path, fidelity: Fidelity | ScoreFidelity, bounds: Bounds, say: Say) -> bool:
    """Make a model below its bounds round activations to finer steps. Return False if it is not below, or cannot do that."""
    if not fidelity.shortfall(bounds) or not refine(folder / GRAPH):
        return False
    say(str(fidelity))
    say("That is below the bounds: rounding activations to finer steps")
    return True


def _accepted(order: Order, fidelity: Fidelity | ScoreFidelity, bounds: Bounds, say: Say) -> dict[str, Any]:
    """Return what the manifest says of a model's fidelity.

    Raises:
        Unsupported: it is below the bounds.
    """
    say(str(fidelity))
    if shortfall := fidelity.shortfall(bounds):
        msg = f"{order.source.model_id} as {order.precision} is not faithful enough: {shortfall}"
        raise Unsupported(msg)
    return asdict(fidelity) | {"bounds": list(bounds), "corpus": corpus_digest()}


def _results(order: Order, folder: Path, manifest: Manifest, samples: Samples, say: Say) -> Results:
    """Compute the results of the scoring passages, with the handler's encoder.

    Raises:
        Unsupported: they cannot be used.
    """
    encode = samples.encode(folder, manifest, order.threads)
    label = f"Measuring {manifest.precision}"
    results = np.concatenate(list(_encoded(encode, samples.scoring(order.passages), label, say)))
    samples.check(results, manifest.precision)
    return results


def _try(order: Order, folder: Path, manifest: Manifest, samples: Samples, say: Say) -> None:
    """Run the built model on some passages, and on a long text that uses its last positions.

    Raises:
        Unsupported, Backend: it cannot be run, or its results cannot be used.
    """
    sequences = samples.scoring(min(order.passages, TRIAL_PASSAGES))
    say(f"Running the {manifest.precision} model on {len(sequences)} passages")
    results = samples.encode(folder, manifest, order.threads)([*sequences, samples.long()])
    samples.check(results, manifest.precision)


def _encoded(encode: Callable[[Sequences], Results], sequences: Sequences, label: str, say: Say) -> Iterable[Results]:
    step = -(-len(sequences) // 4)
    for start in range(0, len(sequences), step):
        say(f"{label}: {min(start + step, len(sequences))} of {len(sequences)} passages")
        yield encode(sequences[start : start + step])
