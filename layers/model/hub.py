"""Models from the Hugging Face hub, or from the one that HF_ENDPOINT names; HF_TOKEN opens private and gated ones.

huggingface_hub resumes what was interrupted, and does without the network what it has whole.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError, RevisionResolutionError
from huggingface_hub.utils.tqdm import disable_progress_bars

from layers.model.configuration import Unsupported
from layers.model.specification import CONFIGURATION_FILES, pickled_files, weight_files


def fetch(model: str, cache: Path, exported: str | None, say: Callable[[str], None]) -> tuple[Path, str]:
    """The folder and the commit of a model that is named `org/name` or `org/name@revision`.

    Raises:
        Unsupported: the hub has no such model or revision, or cannot be reached while something is missing here.
    """
    if not sys.stderr.isatty():
        disable_progress_bars()
    name, _, wanted = model.partition("@")
    cache = cache / "hub"
    try:
        revision = huggingface_hub.resolve_revision(name, revision=wanted or None, cache_dir=cache)
        folder = cache / name.replace("/", "--") / revision.resolved

        def download(patterns: tuple[str, ...]) -> None:
            say(f"Fetching {', '.join(patterns)} of {name} at {revision.resolved[:12]}")
            chosen = list(patterns)
            huggingface_hub.snapshot_download(name, revision=revision, cache_dir=cache, local_dir=folder, allow_patterns=chosen)

        download(CONFIGURATION_FILES)
        download(weight_files(folder, exported))
        if pickles := pickled_files(folder, exported):
            download(pickles)
    except GatedRepoError:
        msg = f"{name} is gated: accept its terms on the hub and set HF_TOKEN"
        raise Unsupported(msg) from None
    except RepositoryNotFoundError:
        msg = f"the hub has no model {name}, or shows it only to those who set HF_TOKEN"
        raise Unsupported(msg) from None
    except RevisionNotFoundError:
        msg = f"the hub's {name} has no revision {wanted}"
        raise Unsupported(msg) from None
    except (RevisionResolutionError, OSError) as error:  # all of the library's, and the network's
        reason = str(error).strip().splitlines()[0] or type(error).__name__
        msg = f"{name} could not be fetched from the hub and is not whole in {cache}: {reason}"
        raise Unsupported(msg) from None
    return folder, revision.resolved
