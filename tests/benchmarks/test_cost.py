"""`make cost` prints what a calculation by hand gives, and obeys the laws of any prices."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.cache.cost import CostModel
from handler.prices import ARCHITECTURES, X86_64
from tests.conftest import ROOT

from .bill import Load, bill
from .cost_tables import HIT_RATES, million_tokens, min_tokens, tables
from .hosted import HOSTED
from .index_cost import Index, index_table
from .machine import AVX2, AVX512_VNNI
from .results import RESULTS, NotMeasured
from .speeds import PREDICTED_MS, Measured

MEASURED = Measured({8: 1.0, 32: 2.0, 128: 8.0, 512: 64.0}, overhead_ms=1.0, cold_ms=500.0, known="measured")
LOAD = Load(requests=1_000_000, texts=1, tokens=32, hit_rate=0, cold_share=0, memory_mb=1769, architecture="x86_64", table=False)
LOADS = st.builds(
    Load,
    requests=st.integers(1, 10**9),
    texts=st.integers(1, 512),
    tokens=st.integers(1, 512),
    hit_rate=st.floats(0, 1),
    cold_share=st.floats(0, 1),
    memory_mb=st.integers(128, 10240),
    architecture=st.sampled_from(list(ARCHITECTURES)),
    table=st.booleans(),
)


def test_a_million_plain_requests_cost_what_they_come_to_by_hand() -> None:
    """3 ms of 1,769 MB each, a million requests of both services, two gigabytes of log and the secret."""
    paid = bill(LOAD, MEASURED)
    assert paid["Lambda, answering"] == pytest.approx(1e6 * 0.003 * 1769 / 1024 * 0.0000166667)
    assert sum(paid.values()) == pytest.approx(paid["Lambda, answering"] + 0.20 + 1.00 + 1.00 + 0.40)


@given(LOADS)
def test_everything_costs_something_and_more_of_it_more(load: Load) -> None:
    """No part is below 0; another request, longer texts or fewer cache hits never make a month cheaper."""
    month = sum(bill(load, MEASURED).values())
    assert all(dollars >= 0 for dollars in bill(load, MEASURED).values())
    for more in (
        replace(load, requests=load.requests + 1),
        replace(load, tokens=load.tokens + 1),
        replace(load, hit_rate=load.hit_rate / 2),
        replace(load, cold_share=1.0),
    ):
        assert sum(bill(more, MEASURED).values()) >= month * (1 - 1e-12)


@given(st.integers(1, 2000))
def test_times_between_the_lengths_measured_lie_between_theirs(tokens: int) -> None:
    """Beyond the longest length they continue to grow."""
    assert 0 < MEASURED.encoding_ms(tokens) <= MEASURED.encoding_ms(tokens + 1)


def test_a_table_that_remembers_all_costs_less_than_one_that_remembers_nothing() -> None:
    """Long texts, all of them there."""
    load = replace(LOAD, tokens=512, table=True)
    never, always = (sum(bill(replace(load, hit_rate=rate), MEASURED).values()) for rate in (0, 1))
    assert always < sum(bill(replace(load, table=False), MEASURED).values()) < never


def test_every_switch_of_the_template_has_its_idle_bill() -> None:
    """With all of them off an idle deployment costs its secret: it has no key of KMS, and nothing that is billed by the hour."""
    _, idle_table, *_ = tables(LOAD, MEASURED, passages=10, concurrency=1)
    idle = {str(switch): float(dollars) for switch, dollars, _ in idle_table.rows}
    assert idle.pop("nothing switched on: the key's secret") == X86_64.secret_month
    by_parameter = dict[str, float]()
    for name, dollars in idle.items():
        parameter = name.split(",")[0]
        by_parameter[parameter] = by_parameter.get(parameter, 0) + dollars
    assert {
        "Alarms",
        "Dashboard",
        "Canary",
        "SnapStart",
        "Tracing",
        "Queue",
        "Search",
        "ReservedConcurrency",
    } == by_parameter.keys()
    text = (ROOT / "template.yaml").read_text()
    assert all(f"\n  {parameter}:\n    Type: " in text for parameter in by_parameter)
    assert by_parameter["Alarms"] == pytest.approx(X86_64.alarm_month * text.count("Type: AWS::CloudWatch::Alarm"))
    assert 0 < idle["Canary, which makes the alarms"] == idle["Alarms"]
    assert by_parameter["SnapStart"] == pytest.approx(6.8, abs=0.1)
    assert by_parameter["Queue"] == pytest.approx(0.26, abs=0.01)
    assert not re.search(r"Type: AWS::(KMS|EC2|ElastiCache|OpenSearch)|ProvisionedConcurrencyConfig", text)


def test_an_index_costs_what_the_examples_of_the_price_list_say() -> None:
    """Ten million vectors of 6.17 KB in 40 indexes, a sixth of them written in a month; then indexes of ten million each."""
    size, read = 6.17 * 1024, 5.17 * 1024
    example = Index(10_000_000, size, read)
    assert example.month == pytest.approx(3.54, abs=0.02)
    assert example.writing / 6 == pytest.approx(1.97, abs=0.01)
    assert Index(250_000, size, read).search * 1e6 == pytest.approx(5.87, abs=0.01)
    assert example.search * 10e6 == pytest.approx(997.62, abs=0.1)
    assert Index(11_000_000, size, read).search - example.search == pytest.approx(1e6 * read / 1024**4 * 0.0004)


def test_the_table_of_an_index_is_what_it_comes_to_by_hand() -> None:
    """A passage has 2,419 bytes, of which a search reads all but its text."""
    rows = [tuple(map(float, row)) for row in index_table().rows]
    passages, month, writing, searches = rows[0]
    assert passages == 10_000
    assert month == pytest.approx(1e4 * 2419 / 1024**3 * 0.06)
    assert writing == pytest.approx(month * 0.20 / 0.06)
    assert searches == pytest.approx(2.5 + 1e6 * 1e4 * 1681 / 1024**4 * 0.004)
    assert rows == sorted(rows)


def test_a_corpus_in_bulk_costs_what_it_comes_to_by_hand() -> None:
    """A million passages of 2 ms at nine tenths of that speed, in 2,000 batches of 500, the template's default."""
    *_, bulk = tables(LOAD, MEASURED, passages=1_000_000, concurrency=10)
    by_hand = 1e6 / 450 * (1769 / 1024 * 0.0000166667 + 64 / 1024 * 0.0000166667) + 2000 * (0.20e-6 + 1e-6 + 25e-6 + 5e-6)
    (row,) = bulk.rows
    assert tuple(map(float, row[:-1])) == pytest.approx((450, 4500, 1e6 / 4500 / 3600, by_hand, by_hand))


def test_a_corpus_in_bulk_costs_more_to_remember_than_to_embed() -> None:
    """All vectors are written, and no text is repeated."""
    *_, bulk = tables(LOAD, MEASURED, passages=10_000_000, concurrency=15)
    ((*_, dollars, _, cached),) = bulk.rows
    assert float(cached) - float(dollars) == pytest.approx(10e6 * (X86_64.write_unit + X86_64.read_unit))


def test_a_million_tokens_cost_what_they_come_to_by_hand() -> None:
    """7,812.5 passages of 8 ms: in bulk at nine tenths of that speed, and in requests with their fees and two kilobytes of log."""
    table = million_tokens({"x86_64": MEASURED, "arm64": replace(MEASURED, known="predicted")})
    dollars = {str(name): float(each) for name, each, *_ in table.rows}
    passages, second = 1e6 / 128, 1769 / 1024 * 0.0000166667
    bulk = 0.008 / 0.9 * (second + 64 / 1024 * 0.0000166667) + (0.20e-6 + 1e-6 + 25e-6 + 5e-6) / 500
    fees = 0.20e-6 + 1e-6 + 2000 / 1e9 * 0.50
    assert dollars["this, x86_64, in bulk"] == pytest.approx(passages * bulk)
    assert dollars["this, x86_64, one a request"] == pytest.approx(passages * (0.009 * second + fees))
    assert dollars["this, x86_64, 32 a request"] == pytest.approx(passages * ((0.001 / 32 + 0.008) * second + fees / 32))
    cheaper = 0.008 / 0.9 * 1769 / 1024 * (0.0000166667 - 0.0000133334)
    assert dollars["this, arm64, in bulk"] == pytest.approx(passages * (bulk - cheaper))
    assert [row[-1] for row in table.rows if "arm64" in str(row[0])] == ["predicted"] * 3


def test_a_hosted_price_has_its_date_and_source_and_says_whether_the_vendor_was_read() -> None:
    """A list price without them cannot be checked."""
    table = million_tokens({"x86_64": MEASURED})
    shown = {str(name): str(how) for name, *_, how in table.rows}
    for hosted in HOSTED:
        assert hosted.dollars > 0
        assert re.match(r"listed 20\d\d(-\d\d)?, \S", shown[hosted.name])
        assert ("not verified with the vendor" in shown[hosted.name]) is not hosted.verified
    assert {name.split()[0] for name in shown} >= {"OpenAI", "Amazon", "Cohere", "Voyage"}


def test_the_more_texts_come_again_the_shorter_are_those_that_a_table_pays_for() -> None:
    """Where none pays, the table says so."""
    rows = min_tokens(MEASURED).rows
    assert [rate for rate, _ in rows] == list(HIT_RATES)
    assert rows[0][1] == "no text pays"
    numbers = [int(least) for _, least in rows if str(least).isdigit()]
    assert numbers
    assert numbers == sorted(numbers, reverse=True)


def _figures(path: Path, *classes: str, tokens_128: float = 10.0) -> Path:
    tables = {
        "Encoder, 1 thread: milliseconds a text": [{"tokens": 8, "ours int8": 1.0}, {"tokens": 128, "ours int8": tokens_128}],
        "Warm request: milliseconds": [{"tokenise": 0.1, "framework": 0.4}],
        "Cold: milliseconds from process start to first vector": [{"process": "with keys and table", "ms": 900.0}],
    }
    path.write_text(json.dumps({name: {"machine": {}, "quick": False, "tables": tables} for name in classes}))
    return path


def test_costs_come_from_the_processors_that_lambda_has_and_are_else_predicted(tmp_path: Path) -> None:
    """AVX-512 VNNI is several times as fast, and Lambda does not have it."""
    fast, slow = _figures(tmp_path / "fast.json", AVX512_VNNI), _figures(tmp_path / "slow.json", AVX512_VNNI, AVX2, "arm64")
    for architecture in ARCHITECTURES:
        predicted = Measured.read(fast, architecture)
        assert predicted.known == "predicted"
        assert predicted.encoding_ms(128) == pytest.approx(PREDICTED_MS[architecture])
        assert predicted.encoding_ms(8) == pytest.approx(PREDICTED_MS[architecture] / 10)
        assert (predicted.overhead_ms, predicted.cold_ms) == (0.5, 900)
    assert Measured.read(slow).known == f"measured on {AVX2}"
    assert Measured.read(slow, "arm64").known == "measured on arm64"


def test_the_committed_figures_are_whole_and_the_handler_reckons_with_about_the_same_speed() -> None:
    """`make bench` wrote what `make cost` reads; the handler's metrics use rounded figures."""
    measured = Measured.read(RESULTS)
    assert 0 < measured.encoding_ms(8) < measured.encoding_ms(512)
    model = CostModel(1769, 829)
    for tokens in (32, 128, 256):
        assert model.encoding_seconds(tokens) * 1000 == pytest.approx(measured.encoding_ms(tokens), rel=0.45)


def test_figures_that_are_not_there_are_named(tmp_path: Path) -> None:
    """One sentence, with the command that makes them."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"x86_64 AVX2": {"machine": {}, "quick": False, "tables": {}}}))
    with pytest.raises(NotMeasured, match=r"Encoder, 1 thread.*`make bench`"):
        Measured.read(path)
    path.write_text(json.dumps({"tables": {}}))
    with pytest.raises(NotMeasured, match="does not hold figures by class of processor"):
        Measured.read(path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--requests", "2,000,000", "--arch", "arm64"], "2,000,000 requests of 1 texts"),
        (["--hit-rate", "2"], "must be between 0 and 1; it is '2'"),
        (["--tokens", "many"], "must be a whole number above 0; it is 'many'"),
    ],
)
def test_the_command_prints_tables_or_one_sentence(arguments: list[str], says: str) -> None:
    """`make cost` calls the same command."""
    command = [sys.executable, "-m", "tests.benchmarks.cost", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
