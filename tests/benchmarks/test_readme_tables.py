"""The README's figures are the ones committed."""

from .readme import README, TABLE, filled


def test_every_measured_table_of_the_readme_is_the_one_that_was_measured() -> None:
    """`python -m tests.benchmarks.readme` writes them."""
    text = README.read_text("utf-8")
    assert len(TABLE.findall(text)) == text.count("<!-- measured: ") > 0
    assert filled(text) == text
