"""Print the cost of a deployment: `make cost`.

Dollars are handler/prices.py's, speeds those that were committed last (results.json) for the class of processor that Lambda has, or
predicted (speeds.py). A vCPU of Lambda is taken to be as fast as the core measured there, which only an account could show.
"""

import argparse
import sys
from pathlib import Path

from handler.config import MEMORY_PER_VCPU_MB
from handler.prices import ARCHITECTURES, DATE, REGION

from . import results
from .bill import MILLION, Load
from .cost_tables import million_tokens, tables
from .results import NotMeasured
from .speeds import Measured
from .tables import say
from .template import default


def main() -> int:
    """Print the tables. Return 1 and print one sentence if a figure is missing."""
    arguments = _arguments()
    load = Load(
        requests=arguments.requests,
        texts=arguments.texts,
        tokens=arguments.tokens,
        hit_rate=arguments.hit_rate,
        cold_share=arguments.cold_share,
        memory_mb=arguments.memory,
        architecture=arguments.arch,
    )
    try:
        by_architecture = {name: Measured.read(arguments.results, name) for name in ARCHITECTURES}
    except NotMeasured as reason:
        say(str(reason))
        return 1
    measured = by_architecture[load.architecture]
    say(f"{REGION}, prices of {DATE}, no free tier. A vCPU is taken for a core (not measured). Speeds: {measured.known}.")
    say(f"\n{million_tokens(by_architecture)}")
    for table in tables(load, measured, arguments.passages, arguments.concurrency):
        say(f"\n{table}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make cost", description="What a deployment costs.")
    parser.add_argument("--requests", type=_whole, default=MILLION, help="a month (default: %(default)s)")
    parser.add_argument("--texts", type=_whole, default=1, help="a request (default: %(default)s)")
    parser.add_argument("--tokens", type=_whole, default=66, help="a text (default: %(default)s, the median of the corpus)")
    parser.add_argument("--hit-rate", type=_share, default=0.3, help="of texts that were there before (default: %(default)s)")
    parser.add_argument(
        "--cold-share", type=_share, default=0.005, help="of requests that meet a cold start (default: %(default)s)"
    )
    parser.add_argument("--memory", type=_whole, default=MEMORY_PER_VCPU_MB, help="MB of the function (default: %(default)s)")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="x86_64")
    parser.add_argument("--passages", type=_whole, default=10 * MILLION, help="of a corpus in bulk (default: %(default)s)")
    concurrency = default("BulkConcurrency")
    parser.add_argument("--concurrency", type=_whole, default=concurrency, help="batches at once (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=results.RESULTS, help="a file of figures (default: %(default)s)")
    return parser.parse_args()


def _whole(given: str) -> int:
    """Parse a number above 0, which may contain commas or underscores."""
    plain = given.replace(",", "").replace("_", "")
    if not (plain.isascii() and plain.isdigit() and int(plain)):
        msg = f"must be a whole number above 0; it is {given!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(plain)


def _share(given: str) -> float:
    try:
        share = float(given)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        msg = f"must be between 0 and 1; it is {given!r}"
        raise argparse.ArgumentTypeError(msg)
    return share


if __name__ == "__main__":
    sys.exit(main())
