"""The deployment guide: its tables for those who deploy without the template, and the names of parameters in it."""

import re

from tests.conftest import ROOT
from tests.documents import Document
from tests.infra.by_hand import GUIDE, TABLES, written
from tests.infra.transformed import transformed


def test_every_parameter_that_is_set_in_the_guide_is_in_the_template() -> None:
    """Parameters are written as NAME=VALUE; arguments of make are in the Makefile."""
    parameters = transformed()["Parameters"]
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\b([A-Z]\w+)=", Document(str(GUIDE.relative_to(ROOT))).prose))
    assert named & parameters.keys()
    assert {name for name in named if name not in parameters and not re.search(rf"\b{name}\b", makefile)} == set()


def test_the_guide_lists_what_the_template_sets() -> None:
    """Rights, environment, time-outs and limits; `python -m tests.infra.by_hand` writes them anew."""
    guide = GUIDE.read_text()
    assert [name for name in TABLES if f"<!-- template: {name} -->" not in guide] == []
    assert written(guide, transformed()) == guide
