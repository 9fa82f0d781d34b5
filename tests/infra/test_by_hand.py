"""The deployment guide: its tables for deployments without the template, its commands, and the names in it."""

import json
import re
import subprocess

import pytest
import yaml

from tests.conftest import ROOT
from tests.infra.by_hand import GUIDE, TABLES, written
from tests.infra.transformed import transformed

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(GUIDE.read_text())


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_every_block_is_what_it_says(kind: str, text: str) -> None:
    """Shell commands need an account, so only their syntax is checked; JSON and CloudFormation are parsed."""
    match kind:
        case "sh":
            assert text.startswith("# needs an AWS account\n")
            subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        case "json":
            assert json.loads(text)
        case "yaml":
            assert yaml.compose(text)
        case _:
            pytest.fail(f"no test checks a block of {kind or 'no kind'}")


def test_every_target_and_every_section_that_is_named_is_there() -> None:
    """A target is named in code: after a backtick, or in a block of shell at the start of a line or of a command."""
    guide = GUIDE.read_text()
    makefile = (ROOT / "Makefile").read_text()
    shell = "\n".join(text for kind, text in BLOCKS if kind == "sh")
    targets = {
        *re.findall(r"`make ([a-z0-9-]+)", BLOCK.sub("", guide)),
        *re.findall(r"(?:^|&& )make ([a-z0-9-]+)", shell, re.MULTILINE),
    }
    assert "deploy" in targets
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
    sections = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", guide, re.MULTILINE)
    }
    linked = re.findall(r"\]\(#([\w-]+)\)", guide) + re.findall(r"handler/DEPLOYING\.md#([\w-]+)", (ROOT / "README.md").read_text())
    assert set(linked) - sections == set()


def test_every_parameter_that_is_set_in_the_guide_is_in_the_template() -> None:
    """The prose sets it as NAME=VALUE; arguments of make are in the Makefile. Blocks may use names of AWS's own commands."""
    parameters = transformed()["Parameters"]
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\b([A-Z]\w+)=", BLOCK.sub("", GUIDE.read_text())))
    assert named & parameters.keys()
    assert {name for name in named if name not in parameters and not re.search(rf"\b{name}\b", makefile)} == set()


def test_the_guide_lists_what_the_template_sets() -> None:
    """Permissions, environment, timeouts and limits. `python -m tests.infra.by_hand` writes the tables again."""
    guide = GUIDE.read_text()
    assert [name for name in TABLES if f"<!-- template: {name} -->" not in guide] == []
    assert written(guide, transformed()) == guide
