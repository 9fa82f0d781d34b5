"""The contenders that take part, and the switches that hold them back to AVX2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.machine import AVX2, AVX512_VNNI
from tests.conftest import ROOT

from .__main__ import PEERS, US
from .contender import Contender
from .isa import CTRANSLATE2, ONNXRUNTIME, OPENVINO, OURS, SWITCHES, TORCH, Hold, Unknown

SCRIPT = """
import json, os, sys
print(json.dumps({"numbers": 1}), flush=True)
for line in sys.stdin:
    print(json.dumps({"seconds": [0.0], "peak_mb": json.dumps(dict(os.environ))}), flush=True)
"""


@pytest.mark.parametrize("library", [OURS, OPENVINO, CTRANSLATE2, TORCH])
def test_the_switch_of_a_library_is_in_the_environment_of_who_computes_with_it(library: str, tmp_path: Path) -> None:
    """If nothing is held back, no environment has a switch."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    contender = Contender("one", tmp_path, str(script), tmp_path, library)
    for hold, expected in ((Hold(held=True, name="held"), SWITCHES[library]), (Hold(held=False, name="free"), {})):
        with contender.start(1, hold) as running:
            environment = json.loads(str(running.peak_mb))  # the script answers with it
        names = {name for switches in SWITCHES.values() for name in switches}
        assert {name: value for name, value in environment.items() if name in names} == expected


def test_avx2_holds_back_ours_openvino_ctranslate2_and_torch_and_leaves_out_onnxruntime() -> None:
    """A table does not mix who is held back with who is not."""
    hold = Hold.of("avx2", AVX512_VNNI)
    assert hold.held
    assert hold.name == f"{AVX512_VNNI} held back to AVX2"
    left = {peer.name for peer in PEERS if not hold.takes_part(peer.library)}
    assert left == {
        "onnxruntime int8, our schedule",
        "light-embed int8",
        "fastembed int8",
        "sentence-transformers ONNX int8",
    }
    assert hold.takes_part(US.library)


def test_a_processor_with_avx2_alone_holds_nobody_back_and_leaves_nobody_out() -> None:
    """There is nothing to hold back: its figures are those of its class."""
    for isa in ("", "avx2"):
        hold = Hold.of(isa, AVX2)
        assert hold.name == AVX2
        assert all(hold.takes_part(peer.library) and not hold.switches(peer.library) for peer in PEERS)
    assert Hold.of("", AVX512_VNNI) == Hold(held=False, name=AVX512_VNNI)
    assert Hold.of("", AVX512_VNNI).takes_part(ONNXRUNTIME)


def test_contenders_are_not_held_back_to_what_is_unknown_or_not_there() -> None:
    """One sentence says which setting is wrong."""
    with pytest.raises(Unknown, match="ISA must be avx2 or not set; it is 'sse'"):
        Hold.of("sse", AVX2)
    with pytest.raises(Unknown, match="needs a processor with AVX2; this one is arm64"):
        Hold.of("avx2", "arm64")


def test_the_command_refuses_an_unknown_setting_with_one_sentence() -> None:
    """Before it prepares models or starts anyone."""
    command = [sys.executable, "-m", "tests.benchmarks.peers"]
    environment = os.environ | {"ISA": "avx1024"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert (done.returncode, done.stdout) == (1, "ISA must be avx2 or not set; it is 'avx1024'\n")
