"""Hold this process back to AVX2, and check that processes are held back."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .copies import FOLDER, Unknown
from .environment import Environment
from .saturation import LARGEST_S8, SUMMED
from .setting import OURS, Hold

SATURATION = Path(__file__).with_name("saturation.py")
GRAPH = FOLDER / "product.onnx"


def hold_this_process(hold: Hold, program: Sequence[str]) -> None:
    """Start this program again with what holds it back, unless that is done or it is not to be held back.

    Args:
        hold: the setting.
        program: the arguments of the interpreter that start this program.

    Raises:
        Unknown: it cannot be held back.
    """
    held = hold.environment(OURS, Path(sys.prefix))
    if not held.trap:
        return
    if os.environ.get("LD_PRELOAD") != str(held.trap):
        os.execve(sys.executable, [sys.executable, *program], held.over(os.environ))  # noqa: S606 - this program itself
    require_copies(held, os.getpid())
    require_saturation(Path(sys.executable), os.environ)


def require_copies(held: Environment, process: int) -> None:
    """Check that a process has loaded the copies of the packages and not the originals, and the library that answers the traps.

    Raises:
        Unknown: it has not.
    """
    if not held.trap:
        return
    maps = Path("/proc", str(process), "maps").read_text().splitlines()
    loaded = {Path(line.split(maxsplit=5)[5]) for line in maps if "/" in line}
    for copy in held.copies:
        if held.trap not in loaded or not loaded & copy.originals.keys() or loaded & set(copy.originals.values()):
            msg = (
                f"Process {process} is not held back to AVX2: it has to load {held.trap}, and {copy.folder} instead of the original"
            )
            raise Unknown(msg)


def require_no_avx512(process: int, seconds: float, name: str) -> None:
    """Check that Linux has seen no AVX-512 in the registers of a process in its last seconds; it looks whenever a thread stops.

    Raises:
        Unknown: it has seen AVX-512.
    """
    for status in Path("/proc", str(process), "task").glob("*/arch_status"):
        found = re.search(r"^AVX512_elapsed_ms:\s*(\d+)$", status.read_text(), re.MULTILINE)
        if found and int(found[1]) < seconds * 1000:
            msg = f"{name} is not held back to AVX2: it used AVX-512 {found[1]} ms ago"
            raise Unknown(msg)


def require_saturation(interpreter: Path, variables: Mapping[str, str]) -> None:
    """Check that ONNX Runtime computes as it does with AVX2 alone, in a process with these environment variables.

    Raises:
        Unknown: it does not compute so, or does not start.
    """
    _write_graph()
    done = subprocess.run([interpreter, SATURATION, GRAPH], env=variables, capture_output=True, text=True, check=False)
    if done.returncode or not json.loads(done.stdout):
        msg = f"ONNX Runtime of {interpreter} is not held back to AVX2: {done.stderr or 'its sums of bytes do not saturate'}"
        raise Unknown(msg)


def _write_graph() -> None:
    """Write a graph of one product of unsigned and signed bytes."""
    weights = numpy_helper.from_array(np.full((SUMMED, SUMMED), LARGEST_S8, np.int8), "weights")
    given = helper.make_tensor_value_info("bytes", TensorProto.UINT8, [1, SUMMED])
    sums = helper.make_tensor_value_info("sums", TensorProto.INT32, [1, SUMMED])
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["bytes", "weights"], ["sums"])], "product", [given], [sums], [weights]
    )
    opsets = [helper.make_opsetid("", 17)]
    GRAPH.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets)), GRAPH)
