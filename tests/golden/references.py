"""`python -m tests.golden.references` makes the committed vectors anew, with the official library (`make model-references`)."""

import subprocess

from tests.benchmarks.tables import say
from tests.conftest import ROOT
from tests.golden.models import CHECKED, REFERENCES

PYTHON = ROOT / "build/peers/torch/bin/python"
"""The interpreter of the environment that has sentence-transformers and torch."""


def main() -> None:
    """Run oracle.py on the folder of each checked model."""
    for model in CHECKED:
        say(model.name)
        out = REFERENCES / f"{model.short}.json"
        subprocess.run([PYTHON, ROOT / "tests/golden/oracle.py", model.source(say).folder, out], check=True)


if __name__ == "__main__":
    main()
