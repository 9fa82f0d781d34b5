"""The example of a deployment from GitHub."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOW = ROOT / ".github/workflows/deploy.yml"


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    """Its only job."""
    (found,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return dict(found)


def test_it_deploys_without_a_key_of_aws(job: dict[str, Any]) -> None:
    """GitHub's own token for the run is exchanged for the role's credentials."""
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"id-token": "write", "contents": "read"}
    (credentials,) = [step["with"] for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    assert credentials.keys() == {"role-to-assume", "aws-region"}
    assert "secrets." not in WORKFLOW.read_text()


def test_it_asks_nobody_and_tries_what_it_deployed(job: dict[str, Any]) -> None:
    """Every command is a target of the Makefile."""
    commands = [step["run"] for step in job["steps"] if "run" in step]
    targets = [re.match(r"make (\S+)", command) for command in commands]
    assert [target and target[1] for target in targets] == ["validate", "deploy", "smoke"]
    assert "--no-confirm-changeset" in commands[1]
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target[1]}:" in makefile for target in targets if target)


@pytest.mark.skipif(not shutil.which("actionlint"), reason="for want of actionlint")
def test_actionlint_finds_nothing() -> None:
    """Names of events, expressions, shell."""
    subprocess.run(["actionlint", WORKFLOW], check=True)
