"""Tests share fixtures and fakes by support modules."""

import re

from tests.conftest import ROOT, SLOWEST


def test_no_module_imports_from_a_test() -> None:
    """A test can then be renamed, split or deleted without a look at the others."""
    modules = [path for folder in ("tests", "events") for path in (ROOT / folder).rglob("*.py")]
    imported = re.compile(r"^\s*(?:from|import) tests\.[\w.]*\btest_\w+", re.MULTILINE)
    assert len(modules) > 100
    assert [str(path.relative_to(ROOT)) for path in modules if imported.search(path.read_text())] == []


def test_the_slowest_files_exist() -> None:
    """A file that was renamed would silently lose its place at the start."""
    assert [path for path in SLOWEST if not (ROOT / path).is_file()] == []
