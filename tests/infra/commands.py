"""Commands of the project that tests run."""

import os
import subprocess
from pathlib import Path

from tests.conftest import ROOT


def run(*command: str | Path, stdin: str = "") -> str:
    """Run a command in the project's root; return what it prints, or fail with it."""
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
        input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    return ran.stdout
