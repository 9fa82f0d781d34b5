"""Source → check → graph → quantize → verify → manifest: one model folder, whole or not at all."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tokenizers

from handler.embedding.encoder import Encoder, Vectors
from handler.embedding.manifest import GRAPH, MANIFEST, TOKENIZER, WEIGHTS, Manifest, sha256
from handler.embedding.tokenization import TokenIds, Tokenization
from layers.model import bert, weights
from layers.model.calibration import largest_activations
from layers.model.corpus import passages
from layers.model.fidelity import Fidelity
from layers.model.precision import Array, Float32, Int8, Precision
from layers.model.sources import Source
from layers.model.specification import Specification, Unsupported

CALIBRATION_PASSAGES = 128
SCORING_PASSAGES = 1000
PRECISIONS = ("int8", "fp32")

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: from where, how, to where. `bounds` are the least mean and the least minimum cosine to fp32."""

    source: Source
    out: Path
    precision: str
    bounds: tuple[float, float]
    threads: int


def build(order: Order, say: Say) -> Manifest:
    """Build one model folder; `order.out` is replaced only once everything has succeeded.

    Raises:
        Unsupported: the source cannot be served exactly, or the result is below its bounds.
    """
    _check_out(order.out)
    order.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=order.out.parent, prefix=f".{order.out.name}-") as scratch:
        folder, reference = Path(scratch, "model"), Path(scratch, "reference")
        say(f"Reading {order.source.model_id} from {order.source.folder}")
        specification = Specification.read(order.source.folder)
        tensors = weights.read(order.source.folder, bert.shapes(specification))
        for place in (folder, reference):
            place.mkdir()
            _write_tokenizer(order.source.folder, specification, place)
        say("Writing the fp32 graph")
        exact = _write_model(reference, order.source, specification, tensors, Float32())
        tokenization = Tokenization(reference, specification.max_length)
        precision = _precision(order.precision, specification, tensors, tokenization, say)
        say(f"Writing the {precision.name} graph")
        built = _write_model(folder, order.source, specification, tensors, precision)
        fidelity = _measure(order, (folder, built), (reference, exact), tokenization, say)
        manifest = replace(built, fidelity=asdict(fidelity) | {"bounds": list(order.bounds)})
        manifest.write(folder)
        if order.out.exists():
            shutil.rmtree(order.out)
        folder.rename(order.out)
    return manifest


def _check_out(out: Path) -> None:
    if out.exists() and not (out / MANIFEST).exists() and (not out.is_dir() or any(out.iterdir())):
        msg = f"{out} exists and is no model folder: name another OUT, it would be replaced"
        raise Unsupported(msg)


def _write_tokenizer(source: Path, specification: Specification, folder: Path) -> None:
    """The source's tokenizer without its own padding and truncation: both are the handler's to decide."""
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(source / TOKENIZER))
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        msg = f"{TOKENIZER} in {source} cannot be read: {error}"
        raise Unsupported(msg) from None
    if tokenizer.get_vocab_size() > specification.vocabulary:
        msg = f"{TOKENIZER} knows {tokenizer.get_vocab_size()} tokens, config.json says vocab_size {specification.vocabulary}"
        raise Unsupported(msg)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if specification.lowercase:
        steps = [tokenizers.normalizers.Lowercase(), *([tokenizer.normalizer] if tokenizer.normalizer else [])]
        tokenizer.normalizer = tokenizers.normalizers.Sequence(steps)
    tokenizer.save(str(folder / TOKENIZER), pretty=False)


def _precision(
    name: str, specification: Specification, tensors: dict[str, Array], tokenization: Tokenization, say: Say
) -> Precision:
    if name == Float32.name:
        return Float32()
    say(f"Calibrating on {CALIBRATION_PASSAGES} passages")
    sequences = _token_ids(tokenization, passages("calibration", CALIBRATION_PASSAGES))
    return Int8(largest_activations(specification, tensors, sequences))


def _write_model(
    folder: Path, source: Source, specification: Specification, tensors: dict[str, Array], precision: Precision
) -> Manifest:
    """Write graph, weights and manifest into `folder`, which holds the tokenizer already."""
    bert.write_encoder(specification, tensors, precision).write(folder / GRAPH, WEIGHTS)
    manifest = Manifest(
        model_id=source.model_id,
        revision=source.revision,
        license=source.license,
        architecture=specification.architecture,
        precision=precision.name,
        dimension=specification.dimension,
        max_length=specification.max_length,
        pooling="+".join(specification.pooling),
        similarity=specification.similarity,
        prompts=specification.prompts,
        default_prompt_name=specification.default_prompt_name,
        files={name: sha256(folder, name) for name in (GRAPH, WEIGHTS, TOKENIZER)},
        sources=source.digests(),
        fidelity={},
    )
    manifest.write(folder)
    return manifest


def _measure(
    order: Order, built: tuple[Path, Manifest], exact: tuple[Path, Manifest], tokenization: Tokenization, say: Say
) -> Fidelity:
    """Compare the built model with its fp32 self through the handler's own encoder.

    Raises:
        Unsupported: the agreement is below the bounds.
    """
    sequences = _token_ids(tokenization, passages("scoring", SCORING_PASSAGES))
    vectors = [
        np.concatenate(list(_encoded(Encoder(folder, manifest, order.threads), sequences, f"Measuring {manifest.precision}", say)))
        for folder, manifest in (exact, built)
    ]
    fidelity = Fidelity.of(vectors[1], vectors[0])
    say(str(fidelity))
    if fidelity.mean_cosine < order.bounds[0] or fidelity.minimum_cosine < order.bounds[1]:
        msg = (
            f"{order.source.model_id} as {order.precision} is not faithful enough: mean cosine {fidelity.mean_cosine:.5f} "
            f"(at least {order.bounds[0]}), minimum {fidelity.minimum_cosine:.5f} (at least {order.bounds[1]}). "
            "Set MIN_COSINE=mean,minimum to accept it, or build PRECISION=fp32"
        )
        raise Unsupported(msg)
    return fidelity


def _encoded(encoder: Encoder, sequences: Sequence[TokenIds], label: str, say: Say) -> Iterable[Vectors]:
    step = SCORING_PASSAGES // 4
    for start in range(0, len(sequences), step):
        say(f"{label}: {start + step} of {len(sequences)} passages")
        yield encoder.encode(sequences[start : start + step])


def _token_ids(tokenization: Tokenization, texts: list[str]) -> list[TokenIds]:
    return [tokens.ids for tokens in tokenization.tokenize(texts, "right")]
