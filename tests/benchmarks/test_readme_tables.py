"""The figures of the pages and the committed plots are of the figures committed."""

from pathlib import Path

import pytest

from .readme import PAGES, PLOTS, TABLE, drawn, filled
from .results import MODELS, PEERS, RESULTS, read


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_measured_table_of_a_page_is_the_one_that_was_measured(page: Path) -> None:
    """`python -m tests.benchmarks.readme` writes them."""
    text = page.read_text("utf-8")
    assert len(TABLE.findall(text)) == text.count("<!-- measured ") + text.count("<!-- computed: ") > 0
    assert filled(text) == text


def test_every_committed_plot_is_drawn_from_the_figures_committed() -> None:
    """`python -m tests.benchmarks.readme` draws them."""
    drawings = drawn()
    assert drawings
    assert {path.name: path.read_text("utf-8") for path in PLOTS.glob("*.svg")} == drawings


def test_committed_figures_are_of_full_runs_on_the_class_that_they_are_kept_under() -> None:
    """A quick run's figures mean little, and a figure without its machine cannot be compared."""
    for path in (RESULTS, PEERS, MODELS):
        sections = read(path)
        assert sections
        for name, section in sections.items():
            assert not section.quick
            assert name.startswith(section.machine["processor_class"])
