"""`python -m layers.model [MODEL] --out FOLDER --precision int8|int4|fp16|fp32 --push URI`: the command line of the builder."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from handler.config import BUCKET_AND_PREFIX
from handler.embedding.manifest import Manifest
from handler.errors import Backend
from layers.model import packages, sources
from layers.model.builder import Order, build
from layers.model.configuration import Unsupported
from layers.model.overrides import BOOLEANS, Overrides
from layers.model.precision import PRECISIONS, Bounds

MODEL_HELP = (
    "a folder, org/name or org/name@revision on the hub, s3://bucket/prefix, or package:NAME==VERSION (default: %(default)s)"
)


def main() -> int:
    """Build a model as the arguments say. Return 0 if it was written; print one sentence and return 1 if not."""
    arguments = _arguments()
    started = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - started:6.1f} s  {text}", flush=True)

    try:
        _check_push(arguments.push)
        bounds = _bounds(os.environ.get("MIN_COSINE", ""))
        source = sources.find(sources.Request(arguments.model, arguments.cache, arguments.onnx), say)
        overrides = Overrides(arguments.pooling, BOOLEANS.get(arguments.normalize), arguments.max_length, arguments.task)
        threads, sizes = os.process_cpu_count() or 1, _sizes(arguments.matryoshka)
        order = Order(source, arguments.out, arguments.precision, bounds, threads, overrides=overrides, sizes=sizes)
        manifest = build(order, say)
    except (Unsupported, Backend) as refusal:
        print(f"Not built: {refusal}", file=sys.stderr)
        return 1
    except MemoryError:
        print("Not built: the memory of this machine is too small for the model", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, for example; the scratch folder is deleted
        print(f"Not built: {error.filename or arguments.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in arguments.out.iterdir()) / 1e6
    say(f"{arguments.out}: {manifest.precision}, {size:.1f} MB, fingerprint {manifest.fingerprint[:12]}")
    return _pushed(arguments.out, arguments.push, say) if arguments.push else 0


def _pushed(folder: Path, uri: str, say: Callable[[str], None]) -> int:
    """Upload what was built. Return 0 if that succeeded; print one sentence and return 1 if not."""
    from layers.model import s3  # noqa: PLC0415 - boto3 takes half a second to import

    try:
        manifest = Manifest.read(folder)
        s3.push(folder, manifest, uri, say)
    except (Unsupported, Backend, OSError) as refusal:
        print(f"Built in {folder}, but not pushed: {refusal}", file=sys.stderr)
        return 1
    say(f"MODEL_URI={uri} MODEL_SHA256={manifest.digest}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m layers.model", description="Build a model folder that the handler serves.")
    parser.add_argument("model", nargs="?", default=packages.DEFAULT, help=MODEL_HELP)
    parser.add_argument("--out", type=Path, default=Path("build", "model"), help="the folder to write (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default=next(iter(PRECISIONS)), help="default: %(default)s")
    parser.add_argument(
        "--onnx", help="take this ONNX file instead of the weights, such as onnx/model.onnx, or org/name:onnx/model.onnx of another"
    )
    parser.add_argument("--pooling", help="pool by cls, mean, … or several joined by +, whatever the model's files say")
    parser.add_argument("--normalize", choices=BOOLEANS, help="whether requests that do not say get vectors of length 1")
    parser.add_argument("--max-length", type=int, help="how many tokens a text may have")
    parser.add_argument("--task", help="which of the tasks that its ONNX file takes, such as retrieval.passage")
    parser.add_argument("--matryoshka", metavar="SIZES", default="", help="numbers of dimensions that int8 is served for: 256,128")
    parser.add_argument("--push", metavar="URI", default="", help="upload what was built to s3://bucket/prefix")
    parser.add_argument(
        "--cache", type=Path, default=Path("build", "sources"), help="where downloads are kept (default: %(default)s)"
    )
    return parser.parse_args()


def _check_push(uri: str) -> None:
    if uri and not re.fullmatch(BUCKET_AND_PREFIX, uri, re.ASCII):
        msg = f"PUSH must be s3://bucket/prefix; it is {uri!r}"
        raise Unsupported(msg)


def _sizes(listed: str) -> tuple[int, ...]:
    if not re.fullmatch(r"(\d{1,5}(,\d{1,5})*)?", listed, re.ASCII):
        msg = f"MATRYOSHKA must be numbers of dimensions with commas between, like 256,128; it is {listed!r}"
        raise Unsupported(msg)
    return tuple(map(int, filter(None, listed.split(","))))


def _bounds(override: str) -> Bounds | None:
    """Return the bounds in MIN_COSINE, `0.95` or `0.97,0.93` for mean and minimum; None if it is not set."""
    if not override:
        return None
    try:
        values = [float(part) for part in override.split(",")]
        mean, minimum = values if len(values) > 1 else values * 2
    except ValueError:
        msg = f"MIN_COSINE must be one cosine or two, mean and minimum, like 0.97,0.93; it is {override!r}"
        raise Unsupported(msg) from None
    return mean, minimum


if __name__ == "__main__":
    sys.exit(main())
