"""The tables of `make cost`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from handler.cache.cost import CostModel
from handler.config import MEMORY_PER_VCPU_MB
from handler.prices import ALWAYS_ON_HOUR, ARCHITECTURES, HOURS_A_MONTH, SECONDS_A_MONTH

from . import results
from .bill import EFFICIENCY, MILLION, ROW_BYTES, WAIT_MS, Load, bill, bulk_dollars, bulk_rate
from .hosted import HOSTED
from .index_cost import index_table
from .speeds import Measured
from .tables import Cell, Table
from .template import count_resources, default

ALARMS = ("HasAlarms", "HasStreamAlarm", "HasBulkAlarm")
"""The conditions of alarms in the template."""
IDLE_POLLS = 5 * SECONDS_A_MONTH / 20
"""The requests of Lambda's five pollers, each of which waits 20 s for a message, as AWS says of a mapping at rest."""


def tables(load: Load, measured: Measured, passages: int, concurrency: int) -> Iterator[Table]:
    """Make the tables of a month, an idle deployment, the cache, alternatives, a search's index and a corpus in bulk."""
    yield _month(load, measured)
    yield _idle(load)
    yield _cache(load, measured)
    yield min_tokens(measured)
    yield _always_on(load, measured)
    yield index_table()
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
    return [million_tokens(measured), min_tokens(measured["x86_64"]), index_table()]


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
    return bulk_dollars(load, measured, MILLION) / MILLION


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
    alarms = {condition: prices.alarm_month * count_resources("CloudWatch::Alarm", condition) for condition in ALARMS}
    rows = [
        ("nothing switched on: the key's secret", prices.secret_month * count_resources("SecretsManager::Secret"), 0.0),
        ("Alarms", alarms["HasAlarms"], 0.0),
        ("Alarms, in addition with a stream", alarms["HasStreamAlarm"], 0.0),
        ("Alarms, in addition with a state machine", alarms["HasBulkAlarm"], 0.0),
        ("Dashboard", prices.dashboard_month * count_resources("CloudWatch::Dashboard", "HasDashboard"), 0.0),
        ("Canary, which makes the alarms", alarms["HasAlarms"], 0.0),
        ("SnapStart, the one published version there is", snapshot, restored),
        ("Tracing, every request", 0.0, load.requests * prices.trace),
        ("Queue, SourceBucket or SourceBus: Lambda asks the queue", prices.queue_request * IDLE_POLLS, 0.0),
        ("Search, an index without passages", 0.0, 0.0),
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


def _bulk(load: Load, measured: Measured, passages: int, concurrency: int) -> Table:
    prices, batch = load.prices, default("BulkBatchSize")
    rate, dollars = bulk_rate(load, measured), bulk_dollars(load, measured, passages)
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
