"""The deployment guide: its tables for those who deploy without the template, its commands, and its names."""

import json
import re
import subprocess

import pytest
import yaml

from tests.conftest import ROOT
from tests.infra.by_hand import GUIDE, TABLES, written
from tests.infra.transformed import transformed

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_every_block_is_what_it_says(kind: str, text: str) -> None:
    """Shell that needs an account is checked for syntax, JSON and CloudFormation are read."""
    match kind:
        case "sh":
            assert text.startswith("# needs an AWS account\n")
            subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        case "json":
            assert json.loads(text)
        case "yaml":
            assert yaml.compose(text)
        case _:
            pytest.fail(f"a block of {kind or 'no kind'} is checked by nobody")


def test_every_target_and_every_section_that_is_named_is_there() -> None:
    """On the page itself, in the Makefile and from README.md."""
    guide = GUIDE.read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z-]+)", guide))
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
    sections = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", guide, re.MULTILINE)
    }
    linked = re.findall(r"\]\(#([\w-]+)\)", guide) + re.findall(r"handler/DEPLOYING\.md#([\w-]+)", (ROOT / "README.md").read_text())
    assert set(linked) - sections == set()


def test_every_parameter_that_is_set_in_the_guide_is_in_the_template() -> None:
    """As NAME=VALUE; what is an argument of make is in the Makefile."""
    parameters = transformed()["Parameters"]
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\b([A-Z]\w+)=", GUIDE.read_text()))
    assert {name for name in named if name not in parameters and not re.search(rf"\b{name}\b", makefile)} == set()


def test_the_guide_lists_what_the_template_sets() -> None:
    """Rights, environment, time-outs and limits; `python -m tests.infra.by_hand` writes them anew."""
    guide = GUIDE.read_text()
    assert [name for name in TABLES if f"<!-- template: {name} -->" not in guide] == []
    assert written(guide, transformed()) == guide
