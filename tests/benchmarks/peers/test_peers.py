"""The contenders, and what holds them back to AVX2."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.hold.environment import Environment
from tests.benchmarks.hold.setting import OURS, PACKAGES, SWITCHES
from tests.conftest import ROOT

from .__main__ import PEERS, US
from .contender import Contender, base_environment

SCRIPT = """
import json, os, sys
print(json.dumps({"numbers": 1}), flush=True)
for line in sys.stdin:
    print(json.dumps({"seconds": [0.0], "peak_mb": json.dumps(dict(os.environ))}), flush=True)
"""


def test_what_holds_a_contender_back_is_in_its_environment(tmp_path: Path) -> None:
    """If nothing is held back, no environment has anything of it."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    contender = Contender("one", tmp_path, str(script), tmp_path, OURS)
    with contender.start(1, Environment()) as running:
        environment = json.loads(str(running.peak_mb))  # the script answers with it
    assert environment.items() >= base_environment().items()
    assert not environment.keys() & {"LD_PRELOAD", *SWITCHES}


def test_each_contender_computes_with_a_library_that_can_be_held_back() -> None:
    """A table does not mix contenders that are held back with contenders that are not."""
    assert {peer.library for peer in (US, *PEERS)} <= PACKAGES.keys()


def test_the_command_refuses_an_unknown_setting_with_one_sentence() -> None:
    """Before it prepares models or starts anyone."""
    command = [sys.executable, "-m", "tests.benchmarks.peers"]
    environment = os.environ | {"ISA": "avx1024"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert (done.returncode, done.stdout) == (1, "ISA must be avx2 or not set; it is 'avx1024'\n")
