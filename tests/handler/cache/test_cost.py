"""The costs and savings of the table: some computed by hand, and some rules that hold for all prices."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.dynamodb import LocalDynamoDB
from handler.cache.cost import CostModel, Speed
from handler.cache.metrics import Usage, UsageMetrics
from handler.functions.api import make_handler
from handler.prices import Prices
from tests.conftest import INT8, Client, serve

VCPU = CostModel(memory_mb=1769, row_bytes=829)
MODELS = st.builds(
    CostModel,
    memory_mb=st.integers(128, 10240),
    row_bytes=st.integers(100, 20_000),
    speed=st.builds(Speed, fixed_ms=st.floats(0, 5), token_ms=st.floats(0.001, 2)),
    wait_ms=st.floats(0, 20),
)
RATES = st.floats(0, 1)


def test_a_write_unit_is_worth_22_ms_of_one_vcpu() -> None:
    """That is why encoding a short text again is cheaper."""
    assert VCPU.time(0.0217) == pytest.approx(VCPU.write, rel=0.01)


def test_units_are_rounded_up() -> None:
    """A write unit has one kilobyte, a read unit four."""
    prices = Prices()
    for row_bytes, reads, writes in ((1024, 1, 1), (1025, 1, 2), (4097, 2, 5)):
        model = replace(VCPU, row_bytes=row_bytes)
        assert (model.read, model.write) == (reads * prices.read_unit, writes * prices.write_unit)


@given(MODELS, st.integers(1, 8192), RATES)
def test_at_the_break_even_rate_the_table_saves_nothing(model: CostModel, tokens: int, rate: float) -> None:
    """Above that hit rate the table saves money, below it loses some."""
    even = model.break_even(tokens)
    assert model.saved(tokens, even) == pytest.approx(0, abs=1e-12)
    assert (model.saved(tokens, rate) > 0) == (rate > even) or model.saved(tokens, rate) == pytest.approx(0, abs=1e-12)


@given(MODELS, RATES, st.integers(1, 600))
def test_the_shortest_text_for_which_the_table_saves_money_is_recommended(model: CostModel, rate: float, longest: int) -> None:
    """It saves money for all longer texts too. The recommendation is None if it never does."""
    least = model.min_tokens(rate, longest)
    for tokens in (1, longest, *(() if least is None else (least - 1, least))):
        if 1 <= tokens <= longest:
            assert (model.saved(tokens, rate) > 0) == (least is not None and tokens >= least)


def test_for_the_small_model_on_one_vcpu_the_table_saves_money_with_long_texts_only() -> None:
    """At a hit rate of 0.9 these are texts from 45 tokens on, at 0.5 from 162 on; fewer for a model that is ten times as slow."""
    assert [VCPU.min_tokens(rate, longest=256) for rate in (0.9, 0.5, 0.3)] == [45, 162, None]
    slow = replace(VCPU, speed=Speed(fixed_ms=5, token_ms=2.2))
    assert [slow.min_tokens(rate, longest=256) for rate in (0.9, 0.5)] == [3, 15]


def test_each_request_writes_metrics_of_its_usage_and_savings(capsys: pytest.CaptureFixture[str]) -> None:
    """The line has the embedded metric format, and a number for every metric that it names."""
    metrics = UsageMetrics(VCPU, "vectors")
    metrics.write(Usage(misses=2, skipped=1, rows_requested=2, rows_stored=2, encoded_tokens=1000, encoding_seconds=1.0))
    metrics.write(Usage(hits=1, hit_tokens=1000, rows_requested=1, waiting_seconds=0.01, bytes_read=777, errors=1, damaged=1))
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    (definition,) = second["_aws"]["CloudWatchMetrics"]
    assert (definition["Dimensions"], second["CacheTable"]) == ([["CacheTable"]], "vectors")
    assert all(metric["Name"] in second for metric in definition["Metrics"])
    assert (first["CacheMisses"], first["CacheSkipped"]) == (2, 1)
    assert first["CacheDollarsSaved"] == pytest.approx(-2 * (VCPU.read + VCPU.write))
    assert (second["CacheHits"], second["CacheErrors"], second["CacheBytesRead"]) == (1, 2, 777)
    # 1,000 tokens take a second, as in the first request.
    assert second["CacheDollarsSaved"] == pytest.approx(VCPU.time(0.92 - 0.01) - VCPU.read, rel=0.03)


def test_a_request_that_uses_the_table_writes_its_metrics(
    dynamodb: LocalDynamoDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each distinct text counts once, as a hit, a miss or skipped. No word of the texts is logged."""
    for name, value in dynamodb.environment.items():
        monkeypatch.setenv(name, value)
    settings = {"CACHE_TABLE": dynamodb.table, "CACHE_MIN_TOKENS": "6", "CACHE_KEY_SECRET": "cost", "CACHE_BUDGET_MS": "5000"}
    client = Client(make_handler(serve(INT8, **settings), None))
    long = "a secretword and a few more"
    for inputs in ([long, long, "short"], [long, "short"]):
        assert client.post({"inputs": inputs}).status == 200
    lines = capsys.readouterr().err
    first, second = (line for line in map(json.loads, lines.splitlines()) if "CacheTable" in line)
    assert [first[name] for name in ("CacheHits", "CacheMisses", "CacheSkipped", "CacheBytesWritten")] == [0, 1, 1, 777]
    assert [second[name] for name in ("CacheHits", "CacheMisses", "CacheSkipped", "CacheBytesWritten")] == [2, 0, 0, 0]
    assert "secretword" not in lines
