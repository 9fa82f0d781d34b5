"""The command `python -m events.search IN Q`, which `make search` runs."""

import argparse
import os
import sys
from pathlib import Path

from events.embed.progress import Refused
from events.search.filters import Filter
from events.search.output import FORMATS
from events.search.search import Search
from handler.bootstrap import load_service
from handler.errors import EmbeddingError

MOST = 1000


def main() -> None:
    """Read the command line and search; the model and all other settings come from the environment."""
    parser = argparse.ArgumentParser(prog="python -m events.search", description="Search a file of vectors.")
    parser.add_argument("source", metavar="IN", help="a file that `make embed` wrote: .parquet or .jsonl")
    parser.add_argument("question", metavar="Q")
    parser.add_argument("--count", default="", help=f"the number of results, at most {MOST} (default: 5)")
    parser.add_argument("--filter", default="", help="field=value: the metadata that results have")
    parser.add_argument("--format", default="", help=f"{' or '.join(FORMATS)} (default: text)")
    arguments = parser.parse_args()
    try:
        print(_search(arguments))
    except (Refused, EmbeddingError) as error:
        sys.exit(f"{error}.")


def _search(arguments: argparse.Namespace) -> str:
    """Search, and return the results as text.

    Raises:
        Refused: an argument cannot be used, or the file cannot be searched.
    """
    if not (arguments.source and arguments.question.strip()):
        msg = 'IN and Q must be given, as in `make search IN=vectors.parquet Q="Is it raining?"`'
        raise Refused(msg)
    count = arguments.count or "5"
    if not (count.isascii() and count.isdecimal() and 1 <= int(count) <= MOST):
        msg = f"K must be a whole number from 1 to {MOST}. Given: {count}"
        raise Refused(msg)
    name = arguments.format or "text"
    if name not in FORMATS:
        msg = f"FORMAT must be {' or '.join(FORMATS)}. Given: {name}"
        raise Refused(msg)
    condition = Filter.parse(arguments.filter) if arguments.filter else None
    search = Search(Path(arguments.source), load_service(os.environ))
    return FORMATS[name](search.find(arguments.question, int(count), condition))


if __name__ == "__main__":
    main()
