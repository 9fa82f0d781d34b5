"""The workflows for GitHub: a fork is checked as `.ci/run` checks it, and can be deployed without a key of AWS."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def job(name: str) -> dict[str, Any]:
    """Return the only job of a workflow."""
    (found,) = workflow(name)["jobs"].values()
    return dict(found)


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow."""
    return dict(yaml.safe_load((ROOT / ".github/workflows" / f"{name}.yml").read_text()))


def commands(name: str) -> list[str]:
    """Return the commands of a workflow's job."""
    return [step["run"] for step in job(name)["steps"] if "run" in step]


def test_a_push_and_a_pull_request_run_what_ci_runs_on_both_processors() -> None:
    """YAML reads the word `on` as true."""
    events: Any = workflow("ci")
    assert events[True].keys() == {"push", "pull_request"}
    assert job("ci")["runs-on"] == "${{ matrix.runner }}"
    assert job("ci")["strategy"]["matrix"]["runner"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    assert commands("ci") == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_a_pull_request_of_a_stranger_can_write_nothing_and_read_no_secret() -> None:
    """It may contain any code."""
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    assert workflow("ci")["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in text
    assert "secrets." not in text


@pytest.mark.parametrize("name", [path.stem for path in WORKFLOWS])
def test_every_workflow_uses_the_python_that_the_project_needs(name: str) -> None:
    """The version in .python-version."""
    (python,) = [step["with"]["python-version"] for step in job(name)["steps"] if "setup-python" in step.get("uses", "")]
    assert (ROOT / ".python-version").read_text().strip().startswith(python)


def test_a_deployment_needs_no_key_of_aws() -> None:
    """GitHub's own token for the run is exchanged for the role's credentials."""
    assert workflow("deploy")["permissions"] == {"id-token": "write", "contents": "read"}
    (credentials,) = [step["with"] for step in job("deploy")["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    assert credentials.keys() == {"role-to-assume", "aws-region"}
    assert "secrets." not in (ROOT / ".github/workflows/deploy.yml").read_text()


def test_a_deployment_waits_for_nobody_and_is_tried() -> None:
    """Every command is a target of the Makefile."""
    targets = [re.match(r"make (\S+)", command) for command in commands("deploy")]
    assert [target and target[1] for target in targets] == ["validate", "deploy", "smoke"]
    assert "--no-confirm-changeset" in commands("deploy")[1]
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target[1]}:" in makefile for target in targets if target)


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not installed")
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actionlint_finds_nothing(path: Path) -> None:
    """Names of events, expressions, shell."""
    subprocess.run(["actionlint", path], check=True)
