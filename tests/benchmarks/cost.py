"""Compute the cost of a deployment: `make cost`.

Dollars are handler/prices.py's, speeds those that were committed last (results.json) for the class of processor that Lambda has, or
predicted (speeds.py). A vCPU of Lambda is taken to be as fast as the core measured there, which only an account could show.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from handler.cache.cost import CostModel
from handler.config import MEMORY_PER_VCPU_MB
from handler.prices import ALWAYS_ON_HOUR, ARCHITECTURES, DATE, HOURS_A_MONTH, REGION, SECONDS_A_MONTH, Prices

from . import results
from .hosted import HOSTED
from .results import NotMeasured
from .speeds import Measured
from .tables import Cell, Table, say

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
ROW_BYTES, ITEM_BYTES = 829, 929
"""A vector of 384 numbers with its attributes as DynamoDB counts units, and as it counts storage: 100 bytes more an item."""
LOG_BYTES = 2000
"""An invocation's lines: ours, the cache's metrics, the platform's start and report."""
WAIT_MS = 5.0
"""For a look-up, and again for a write after the answer: assumed, since only an account could show it."""
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """A month of equal requests, and the function that serves them."""

    requests: int
    texts: int
    tokens: int
    hit_rate: float
    cold_share: float
    memory_mb: int
    architecture: str
    table: bool = True

    @property
    def prices(self) -> Prices:
        """Return the prices of its architecture."""
        return ARCHITECTURES[self.architecture]

    @property
    def gigabytes(self) -> float:
        """Return the memory in GB, as it is billed."""
        return self.memory_mb / 1024

    @property
    def all_texts(self) -> int:
        """Return the number of texts per month."""
        return self.requests * self.texts

    @property
    def slowdown(self) -> float:
        """Return the vCPUs; less memory than that of one vCPU gives a share of it."""
        return max(1.0, MEMORY_PER_VCPU_MB / self.memory_mb)

    @property
    def threads(self) -> int:
        """Return how many texts are encoded at the same time."""
        return max(1, self.memory_mb // MEMORY_PER_VCPU_MB)


def bill(load: Load, measured: Measured) -> dict[str, float]:
    """Return dollars per month for each kind of cost."""
    prices = load.prices
    hit_rate = load.hit_rate if load.table else 0.0
    encoded = load.texts * (1 - hit_rate)
    warm_ms = measured.overhead_ms * load.slowdown
    warm_ms += encoded * measured.encoding_ms(load.tokens) * load.slowdown / min(load.threads, load.texts)
    if load.table:
        warm_ms += WAIT_MS * (1 + min(1.0, encoded))
    second = load.gigabytes * prices.gigabyte_second
    paid = {
        "Lambda, answering": load.requests * warm_ms / 1000 * second,
        "Lambda, cold starts": load.requests * load.cold_share * measured.cold_ms * load.slowdown / 1000 * second,
        "Lambda, requests": load.requests * prices.lambda_request,
        "HTTP API, requests": load.requests * prices.http_api_request,
        "CloudWatch, log lines": load.requests * LOG_BYTES / 1e9 * prices.log_gigabyte,
        "Secrets Manager, the key": prices.secret_month,
    }
    if load.table:
        cache = CostModel(load.memory_mb, ROW_BYTES, prices=prices)
        paid["DynamoDB, look-ups"] = load.all_texts * cache.read
        paid["DynamoDB, rows written"] = load.all_texts * (1 - hit_rate) * cache.write
        paid["DynamoDB, rows kept 30 days"] = load.all_texts * (1 - hit_rate) * ITEM_BYTES / 1e9 * prices.table_gigabyte_month
    return paid


def tables(load: Load, measured: Measured, passages: int, concurrency: int) -> Iterator[Table]:
    """Make the tables of a month, of an idle deployment, of the cache, of alternatives and of a corpus in bulk."""
    yield _month(load, measured)
    yield _idle(load)
    yield _cache(load, measured)
    yield min_tokens(measured)
    yield _always_on(load, measured)
    yield _bulk(load, measured, passages, concurrency)


def million_tokens(by_architecture: Mapping[str, Measured]) -> Table:
    """Make the table of a million tokens on each architecture, next to the list prices of hosted APIs."""
    dollars = {
        (architecture, way): price(measured, architecture) / PASSAGE_TOKENS * MILLION
        for architecture, measured in by_architecture.items()
        for way, price in WAYS.items()
    }
    ours = dollars["x86_64", next(iter(WAYS))]
    rows: list[tuple[Cell, ...]] = [
        (f"this, {architecture}, {way}", each, each / ours, by_architecture[architecture].known)
        for (architecture, way), each in dollars.items()
    ]
    rows += [(hosted.name, hosted.dollars, hosted.dollars / ours, hosted.how) for hosted in HOSTED]
    return Table(
        "A million tokens",
        [
            f"in passages of {PASSAGE_TOKENS} tokens, encoded and not cached, {MEMORY_PER_VCPU_MB:,} MB; cold starts and what is",
            "paid by the month are left out; hosted models make other vectors: list prices are compared, and nothing else",
        ],
        {"embedded by": "s", "$ a million tokens": ".4f", "times this in bulk": ".1f", "known from": "s"},
        rows,
    )


def committed() -> list[Table]:
    """Make the tables of the READMEs from the committed figures."""
    measured = {name: Measured.read(results.RESULTS, name) for name in ARCHITECTURES}
    return [million_tokens(measured), min_tokens(measured["x86_64"])]


PASSAGE_TOKENS = 128
SEVERAL = 32
"""The passages of a request that has several."""


def _requested(measured: Measured, architecture: str, texts: int) -> float:
    """Return dollars per passage, in requests of so many passages to the HTTP API."""
    load = Load(
        requests=1,
        texts=texts,
        tokens=PASSAGE_TOKENS,
        hit_rate=0,
        cold_share=0,
        memory_mb=MEMORY_PER_VCPU_MB,
        architecture=architecture,
        table=False,
    )
    return (sum(bill(load, measured).values()) - load.prices.secret_month) / texts


def _in_bulk(measured: Measured, architecture: str) -> float:
    """Return dollars per passage in the state machine."""
    load = Load(MILLION, 1, PASSAGE_TOKENS, 0, 0, MEMORY_PER_VCPU_MB, architecture, table=False)
    return _bulk_dollars(load, measured, MILLION) / MILLION


WAYS: dict[str, Callable[[Measured, str], float]] = {
    "in bulk": _in_bulk,
    f"{SEVERAL} a request": lambda measured, architecture: _requested(measured, architecture, SEVERAL),
    "one a request": lambda measured, architecture: _requested(measured, architecture, 1),
}
HIT_RATES = (0.5, 0.7, 0.8, 0.9, 0.95)


def min_tokens(measured: Measured) -> Table:
    """The CACHE_MIN_TOKENS to set, by the share of repeated texts, on x86_64 with one vCPU."""
    model = CostModel(MEMORY_PER_VCPU_MB, ROW_BYTES, speed=measured.speed, wait_ms=WAIT_MS)
    longest = max(measured.by_tokens)
    rows = [(rate, str(model.min_tokens(rate, longest) or "no text pays")) for rate in HIT_RATES]
    return Table(
        "CACHE_MIN_TOKENS",
        [f"the shortest text that a table saves money on, {MEMORY_PER_VCPU_MB:,} MB, x86_64; {measured.known}"],
        {"repeated texts": ".0%", "CACHE_MIN_TOKENS": "s"},
        rows,
    )


def _month(load: Load, measured: Measured) -> Table:
    paid = bill(load, measured)
    total = sum(paid.values())
    rows = [
        *paid.items(),
        ("together", total),
        ("together, without a table", sum(bill(replace(load, table=False), measured).values())),
    ]
    return Table(
        "A month",
        [
            f"{load.requests:,} requests of {load.texts} texts of {load.tokens} tokens, {load.cold_share:.1%} of them cold;",
            f"{load.hit_rate:.0%} of the texts were there before; {load.memory_mb:,} MB, {load.architecture}",
        ],
        {"for": "s", "$ a month": ",.2f", "$ a million texts": ",.3f"},
        [(name, dollars, dollars / load.all_texts * MILLION) for name, dollars in rows],
    )


def _idle(load: Load) -> Table:
    prices = load.prices
    snapshot = load.gigabytes * prices.snapshot_gigabyte_second * SECONDS_A_MONTH
    restored = load.requests * load.cold_share * load.gigabytes * prices.restored_gigabyte
    alarms = {condition: prices.alarm_month * _count("CloudWatch::Alarm", condition) for condition in ALARMS}
    rows = [
        ("nothing switched on: the key's secret", prices.secret_month * _count("SecretsManager::Secret"), 0.0),
        ("Alarms", alarms["HasAlarms"], 0.0),
        ("Alarms, beside these with a stream", alarms["HasStreamAlarm"], 0.0),
        ("Alarms, beside these with a state machine", alarms["HasBulkAlarm"], 0.0),
        ("Dashboard", prices.dashboard_month * _count("CloudWatch::Dashboard", "HasDashboard"), 0.0),
        ("Canary, which makes the alarms", alarms["HasAlarms"], 0.0),
        ("SnapStart, the one published version there is", snapshot, restored),
        ("Tracing, every request", 0.0, load.requests * prices.trace),
        ("Queue, SourceBucket or SourceBus: Lambda asks the queue", prices.queue_request * IDLE_POLLS, 0.0),
        ("ReservedConcurrency, throttling, other parameters", 0.0, 0.0),
    ]
    return Table(
        "Switches",
        ["idle: without a single request; used: what the requests above add; the metrics of a used deployment cost 0.30 each"],
        {"switch": "s", "$ idle": ",.2f", "$ used": ",.2f"},
        rows,
    )


def _cache(load: Load, measured: Measured) -> Table:
    model = CostModel(load.memory_mb, ROW_BYTES, speed=measured.speed, wait_ms=WAIT_MS, prices=load.prices)
    longest = max(measured.by_tokens)
    least = model.min_tokens(load.hit_rate, longest)
    advice = (
        f"set CACHE_MIN_TOKENS to {least}" if least else f"no text of up to {longest} tokens pays: set CACHE_MIN_TOKENS above that"
    )
    return Table(
        "The table of vectors",
        [
            f"if {load.hit_rate:.0%} of the texts are repeated, {advice};",
            "a rate above 100 % is never reached: there the table gains time alone",
        ],
        {"tokens": "d", "it pays from a hit rate of": ".0%", "$ saved a million texts": ",.2f"},
        [(tokens, model.break_even(tokens), model.saved(tokens, load.hit_rate) * MILLION) for tokens in sorted(measured.by_tokens)],
    )


def _always_on(load: Load, measured: Measured) -> Table:
    """The fixed part of the bill is left out of what a text costs."""
    paid = bill(load, measured)
    fixed = load.prices.secret_month
    each = (sum(paid.values()) - fixed) / load.all_texts
    rows = []
    for name, hour in ALWAYS_ON_HOUR.items():
        month = hour * HOURS_A_MONTH
        rows.append((name, month, (month - fixed) / each / MILLION))
    return Table(
        "Against a machine that is always on",
        ["one, without disk, load balancer, a second one, or anyone's time; this is cheaper below so many texts a month"],
        {"machine": "s", "$ a month": ",.2f", "cheaper below, million texts": ",.1f"},
        rows,
    )


def _bulk_rate(load: Load, measured: Measured) -> float:
    """Return the texts per second of one function."""
    return 1000 / (measured.encoding_ms(load.tokens) * load.slowdown / load.threads) * EFFICIENCY


def _bulk_dollars(load: Load, measured: Measured, passages: int) -> float:
    """Items of a Distributed Map in batches, each an express child with one call and one shard. Receipts are a few files in all."""
    prices, batches = load.prices, -(-passages // _default("BulkBatchSize"))
    seconds = passages / _bulk_rate(load, measured)
    dollars = seconds * (load.gigabytes * prices.gigabyte_second + EXPRESS_GIGABYTES * prices.express_gigabyte_second)
    return dollars + batches * (prices.lambda_request + prices.express_request + prices.state_transition + prices.put_object)


def _bulk(load: Load, measured: Measured, passages: int, concurrency: int) -> Table:
    prices, batch = load.prices, _default("BulkBatchSize")
    rate, dollars = _bulk_rate(load, measured), _bulk_dollars(load, measured, passages)
    seconds = passages / rate
    cache = CostModel(load.memory_mb, ROW_BYTES, prices=prices)
    cached = dollars + passages * (cache.read + cache.write)
    return Table(
        "In bulk, through the state machine",
        [
            f"{passages:,} passages of {load.tokens} tokens, {batch:,} to a batch, {concurrency} batches at once;",
            f"{EFFICIENCY:.0%} of the encoder's speed; with the cache: `use_cache: true`, all of them are looked up in the table",
            "and written there",
        ],
        {
            "texts/s a function": ",.0f",
            "texts/s": ",.0f",
            "hours": ".2f",
            "$": ",.2f",
            "$ a million texts": ",.3f",
            "$, with the cache": ",.2f",
        },
        [(rate, rate * concurrency, seconds / concurrency / 3600, dollars, dollars / passages * MILLION, cached)],
    )


EFFICIENCY = 0.9
"""Of the encoder's own throughput, that a batch of records reaches at least (`python -m tests.benchmarks pipeline`)."""
EXPRESS_GIGABYTES = 64 / 1024
"""What a child workflow is billed for while its call lasts. That its start counts as a state transition is the dearer reading."""
ALARMS = ("HasAlarms", "HasStreamAlarm", "HasBulkAlarm")
"""The conditions of alarms in the template."""
IDLE_POLLS = 5 * SECONDS_A_MONTH / 20
"""Five of Lambda's pollers, each waiting 20 s for a message: what AWS says of a mapping at rest."""


def _count(kind: str, condition: str | None = None) -> int:
    """Count the resources of a type that the template makes under a condition."""
    made = [resource for resource in _template()["Resources"].values() if resource["Type"] == f"AWS::{kind}"]
    return sum(resource.get("Condition") == condition for resource in made)


def _default(parameter: str) -> int:
    """Return the default of a parameter of the template."""
    return int(_template()["Parameters"][parameter]["Default"])


@cache
def _template() -> dict[str, Any]:
    """Read template.yaml without CloudFormation's functions, which do not matter for these counts."""
    template: dict[str, Any] = yaml.load(TEMPLATE.read_bytes(), _Plain)  # noqa: S506 - a safe loader
    return template


class _Plain(yaml.SafeLoader):  # type: ignore[misc] # its library has no types
    """Reads "!Ref" and the other functions as None."""


_Plain.add_multi_constructor("!", lambda *_: None)


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
    concurrency = _default("BulkConcurrency")
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
