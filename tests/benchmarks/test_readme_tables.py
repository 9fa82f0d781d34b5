"""The tables of the documents and the committed plots show the committed figures."""

from tests.documents import DOCUMENTS

from .readme import PLOTS, TABLE, drawn, filled
from .results import MODELS, PEERS, RESULTS, read


def test_every_measured_table_of_a_document_has_the_committed_figures() -> None:
    """`python -m tests.benchmarks.readme` writes them."""
    tables = 0
    for document in DOCUMENTS:
        found = len(TABLE.findall(document.text))
        assert found == document.text.count("<!-- measured ") + document.text.count("<!-- computed: ")
        assert filled(document.text) == document.text
        tables += found
    assert tables >= 11


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
            assert section.processors.keys() == section.tables.keys()
