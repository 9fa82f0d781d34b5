"""The command `python -m events.embed IN OUT`, which `make embed` runs."""

import argparse
import os
import sys
from pathlib import Path

from events.embed.job import Job
from events.embed.progress import Refused
from handler.bootstrap import load_service
from handler.errors import EmbeddingError
from handler.pipeline_settings import chunking as chunking_from
from handler.sources.record_parsing import TEXT_FIELD
from handler.vector_types import type_name

INTERRUPTED = 130


def main() -> None:
    """Read the command line and embed; the model and all other settings come from the environment."""
    parser = argparse.ArgumentParser(prog="python -m events.embed", description="Embed a file or a folder of texts.")
    parser.add_argument(
        "source", metavar="IN", help=".jsonl, .csv, .md, .html or .txt, each also with .gz, or a folder, or s3://BUCKET/PREFIX"
    )
    parser.add_argument("out", metavar="OUT", help=".jsonl or .parquet")
    arguments = parser.parse_args()
    if not (arguments.source and arguments.out):
        sys.exit("IN and OUT must be given, as in `make embed IN=texts.jsonl OUT=vectors.parquet`.")
    try:
        if given := os.environ.get("OUTPUT_DTYPE"):
            type_name(given, "TYPE")
        text_field, chunking = os.environ.get("TEXT_FIELD") or TEXT_FIELD, chunking_from(os.environ)
        job = Job(arguments.source, Path(arguments.out), text_field, load_service(os.environ), chunking=chunking)
        finished = job.run()
    except (Refused, EmbeddingError) as error:
        sys.exit(f"{error}.")
    print(f"{job.summary if finished else job.state}.")
    sys.exit(0 if finished else INTERRUPTED)


if __name__ == "__main__":
    main()
