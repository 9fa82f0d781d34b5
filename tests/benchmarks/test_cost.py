"""What `make cost` says, by hand and by the laws that any prices obey."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.prices import ARCHITECTURES, X86_64
from tests.conftest import ROOT

from .cost import Load, Measured, bill, tables
from .results import RESULTS, NotMeasured

MEASURED = Measured({8: 1.0, 32: 2.0, 128: 8.0, 512: 64.0}, overhead_ms=1.0, cold_ms=500.0, processor_class="x86_64 AVX2")
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
    """No part is below 0; another request, longer texts or less remembered never make a month cheaper."""
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
    """And beyond the longest they go on growing."""
    assert 0 < MEASURED.encoding_ms(tokens) <= MEASURED.encoding_ms(tokens + 1)


def test_a_table_that_remembers_all_costs_less_than_one_that_remembers_nothing() -> None:
    """Long texts, all of them there."""
    load = replace(LOAD, tokens=512, table=True)
    never, always = (sum(bill(replace(load, hit_rate=rate), MEASURED).values()) for rate in (0, 1))
    assert always < sum(bill(replace(load, table=False), MEASURED).values()) < never


def test_every_switch_of_the_template_has_its_idle_bill() -> None:
    """With all of them off an idle deployment costs its secret: it has no key of KMS, and nothing that is billed by the hour."""
    _, switches, *_ = tables(LOAD, MEASURED, passages=10, concurrency=1)
    idle = {str(switch): float(dollars) for switch, dollars, _ in switches.rows}
    assert idle.pop("nothing switched on: the key's secret") == X86_64.secret_month
    by_parameter = dict[str, float]()
    for name, dollars in idle.items():
        parameter = name.split(",")[0]
        by_parameter[parameter] = by_parameter.get(parameter, 0) + dollars
    assert {"Alarms", "Dashboard", "Canary", "SnapStart", "Tracing", "Queue", "ReservedConcurrency"} == by_parameter.keys()
    text = (ROOT / "template.yaml").read_text()
    assert all(f"\n  {parameter}:\n    Type: " in text for parameter in by_parameter)
    assert by_parameter["Alarms"] == pytest.approx(X86_64.alarm_month * text.count("Type: AWS::CloudWatch::Alarm"))
    assert 0 < idle["Canary, which makes the alarms"] == idle["Alarms"]
    assert by_parameter["SnapStart"] == pytest.approx(6.8, abs=0.1)
    assert by_parameter["Queue"] == pytest.approx(0.26, abs=0.01)
    assert not re.search(r"Type: AWS::(KMS|EC2|ElastiCache|OpenSearch)|ProvisionedConcurrencyConfig", text)


def test_a_corpus_in_bulk_costs_what_it_comes_to_by_hand() -> None:
    """A million passages of 2 ms at nine tenths of that speed, in 2,000 batches of 500, the template's default."""
    *_, bulk = tables(LOAD, MEASURED, passages=1_000_000, concurrency=10)
    by_hand = 1e6 / 450 * (1769 / 1024 * 0.0000166667 + 64 / 1024 * 0.0000166667) + 2000 * (0.20e-6 + 1e-6 + 25e-6 + 5e-6)
    (row,) = bulk.rows
    assert tuple(map(float, row[:-1])) == pytest.approx((450, 4500, 1e6 / 4500 / 3600, by_hand, by_hand))


def test_a_corpus_in_bulk_costs_more_to_remember_than_to_embed() -> None:
    """All of it is written and nothing comes again."""
    *_, bulk = tables(LOAD, MEASURED, passages=10_000_000, concurrency=15)
    ((*_, dollars, _, remembered),) = bulk.rows
    assert float(remembered) - float(dollars) == pytest.approx(10e6 * (X86_64.write_unit + X86_64.read_unit))


def test_the_committed_figures_are_whole() -> None:
    """What `make cost` reads was written by `make bench`."""
    measured = Measured.read(RESULTS)
    assert 0 < measured.encoding_ms(8) < measured.encoding_ms(512)
    assert measured.speed.token_ms > 0


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
    """As `make cost` calls it."""
    command = [sys.executable, "-m", "tests.benchmarks.cost", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
