"""Download models from the Hugging Face hub, or from the hub at HF_ENDPOINT. HF_TOKEN gives access to private and gated ones.

huggingface_hub resumes an interrupted download, and needs no network for complete ones.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError, RevisionResolutionError
from huggingface_hub.utils.tqdm import disable_progress_bars

from layers.model.configuration import Unsupported
from layers.model.downloads import Patterns, file_patterns, patterns
from layers.model.onnx_files import OnnxFile

type Say = Callable[[str], None]


def fetch(model: str, cache: Path, exported: OnnxFile | None, say: Say) -> tuple[Path, str]:
    """Return the folder and the commit of a model that is named `org/name` or `org/name@revision`.

    Raises:
        Unsupported: the hub has no such model or revision, or a file is missing here and cannot be downloaded.
    """
    return _fetched(model, cache, lambda folder: patterns(folder, exported), say)


def fetch_file(model: str, file: str, cache: Path, say: Say) -> tuple[Path, str]:
    """Fetch one ONNX file and the files in which it keeps tensors; return their folder, and the repository's commit.

    Raises:
        Unsupported: the hub has no such repository or revision, or a file is missing here and cannot be downloaded.
    """
    return _fetched(model, cache, lambda folder: file_patterns(folder, PurePosixPath(file)), say)


def _fetched(model: str, cache: Path, wanted: Callable[[Path], Iterable[Patterns]], say: Say) -> tuple[Path, str]:
    if not sys.stderr.isatty():
        disable_progress_bars()
    name, _, asked = model.partition("@")
    cache = cache / "hub"
    try:
        revision = huggingface_hub.resolve_revision(name, revision=asked or None, cache_dir=cache)
        folder = cache / name.replace("/", "--") / revision.resolved

        for chosen in wanted(folder):
            say(f"Fetching {', '.join(chosen)} of {name} at {revision.resolved[:12]}")
            huggingface_hub.snapshot_download(
                name, revision=revision, cache_dir=cache, local_dir=folder, allow_patterns=list(chosen)
            )
    except GatedRepoError:
        msg = f"{name} is gated: accept its terms on the hub and set HF_TOKEN"
        raise Unsupported(msg) from None
    except RepositoryNotFoundError:
        msg = f"the hub has no model {name}, or shows it only to those who set HF_TOKEN"
        raise Unsupported(msg) from None
    except RevisionNotFoundError:
        msg = f"the hub's {name} has no revision {asked}"
        raise Unsupported(msg) from None
    except (RevisionResolutionError, OSError) as error:  # all errors of the library and of the network
        reason = str(error).strip().splitlines()[0] or type(error).__name__
        msg = f"{name} could not be fetched from the hub and is not whole in {cache}: {reason}"
        raise Unsupported(msg) from None
    return folder, revision.resolved
