"""The inner loops of the kernels are checked in the compiler's output, because this processor may not be able to run them.

`make mca` prints llvm-mca's prediction for Lambda's arm64 processor.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import ziglang

from layers.runtime.operators import build

SDOTS = 64
"""The SDOT instructions for a tile in the loop over inputs: four rows, four registers of outputs, four groups of inputs."""
PRODUCTS = 16  # the products of bytes of an SDOT
ITERATIONS = 100
LEAST = 30
"""The required products of bytes a cycle. 32 are possible, if both pipes of the processor execute nothing else."""
# Neoverse N1 decodes four instructions a cycle (its Software Optimization Guide, by Arm). llvm-mca 14 takes it for three.
MCA = ["llvm-mca", "-mtriple=aarch64", "-mcpu=neoverse-n1", "-dispatch=4", f"-iterations={ITERATIONS}"]


def assembly(folder: Path, machine: str, name: str) -> list[str]:
    """Return the assembly code of a set of kernels for Linux."""
    zig = Path(ziglang.__file__).with_name("zig")
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(build.CACHE), "ZIG_LOCAL_CACHE_DIR": str(build.CACHE)}
    target = ["-target", f"{build.ARCHITECTURES[machine]}-{build.SYSTEMS['Linux']}", f"-mcpu={build.KERNELS[machine][name]}"]
    names = [f"-DNAME={name}", f'-DPRODUCTS="products_{name}.h"']
    to_assembly = ["-g0", "-S", "-Wno-unused-command-line-argument", "kernels.c", "-o", str(folder / "kernels.s")]
    line = [str(zig), "cc", *target, *build.OPTIONS, *names, *to_assembly]
    subprocess.run(line, cwd=build.HERE, env=environment, check=True, capture_output=True)
    return (folder / "kernels.s").read_text().splitlines()


def innermost_loops(lines: list[str]) -> list[list[str]]:
    """Return the instructions of each loop without inner loops: from a label to the branch back to it."""
    labels = {match[1]: place for place, line in enumerate(lines) if (match := re.match(r"(\.LBB\w+):", line))}
    found = []
    for place, line in enumerate(lines):
        branch = re.match(r"\s+(?:j\S*|b\S*|cbn?z|tbn?z)\s+(?:.*,\s*)?(\.LBB\w+)", line)
        start = labels.get(branch[1], place) if branch else place
        body = lines[start + 1 : place + 1]
        if body and not any(label.startswith(".LBB") for label in body):
            found.append([each for each in body if re.match(r"\s+[a-z]", each)])
    return found


def count(loop: list[str], instruction: str) -> int:
    """Return how often a loop contains an instruction, which is given as a pattern."""
    return sum(bool(re.match(rf"\s+{instruction}", line)) for line in loop)


@pytest.mark.parametrize(
    ("name", "instruction", "products", "prefetches", "most"),
    [("avx512_vnni", "vpdpbusd", 24, {4, 8}, 38), ("avx2", "vpmaddubsw", 16, {0, 4, 8}, 60)],
)
def test_the_inner_loop_for_x86_keeps_its_sums_in_registers(
    name: str, instruction: str, products: int, prefetches: set[int], most: int, tmp_path: Path
) -> None:
    """A full tile has only the necessary instructions, and none that accesses the stack. `most` does not count prefetches.

    The first tile of a panel has a loop of its own, which also fetches the next panels. With AVX2, the second pass over a tile
    prefetches nothing.
    """
    loops = [loop for loop in innermost_loops(assembly(tmp_path, "x86_64", name)) if count(loop, instruction) == products]
    assert {count(loop, "prefetch") for loop in loops} == prefetches
    plain = [loop for loop in loops if count(loop, "prefetch") < max(prefetches)]
    assert not any("rsp" in line for loop in plain for line in loop)
    assert max(len(loop) - count(loop, "prefetch") for loop in plain) <= most


@pytest.mark.parametrize(("name", "sums", "most"), [("avx512_vnni", 24, 42), ("avx2", 12, 29)])
def test_the_inner_loop_of_attention_for_x86_keeps_its_sums_in_registers(name: str, sums: int, most: int, tmp_path: Path) -> None:
    """The loop of six queries has a multiplication for each of its sums: with spilled sums it took 1.8 times as long on AVX2."""
    loops = innermost_loops(assembly(tmp_path, "x86_64", name))
    (loop,) = [loop for loop in loops if count(loop, "vfmadd231ps") == sums]
    assert not any("rsp" in line for line in loop)
    assert len(loop) <= most


@pytest.fixture(scope="module")
def inner_loop(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Find the loop for full tiles of weights that are already signed."""
    tiles = [
        loop
        for loop in innermost_loops(assembly(tmp_path_factory.mktemp("loops"), "arm64", "dotprod"))
        if count(loop, "sdot") == SDOTS
    ]
    with_sign = [loop for loop in tiles if not count(loop, "eor")]
    assert len(with_sign) == 1
    assert len(tiles) == 2  # the other loop is for few rows, and makes the weights signed itself
    return with_sign[0]


def test_the_inner_loop_keeps_its_sums_in_registers_and_broadcasts_nothing(inner_loop: list[str]) -> None:
    """Every product takes its activations by element, and no instruction copies or stores a register."""
    assert count(inner_loop, r"sdot\s.*\[\d\]$") == SDOTS
    assert count(inner_loop, "dup|ld1r|mov|str|stp|stur") == 0
    assert not any(re.search(r"\[sp\b", line) for line in inner_loop)


@pytest.mark.skipif(not shutil.which("llvm-mca"), reason="llvm-mca predicts the loop (Debian's package llvm)")
def test_the_inner_loop_reaches_30_of_32_products_a_cycle_on_neoverse_n1(inner_loop: list[str]) -> None:
    """Lambda's arm64 processor is a Neoverse N1. The prediction does not consider memory."""
    predicted = subprocess.run(MCA, input="\n".join(inner_loop[:-1]), capture_output=True, text=True, check=True).stdout
    cycles = re.search(r"Total Cycles:\s+(\d+)", predicted)
    assert cycles
    reached = SDOTS * PRODUCTS * ITERATIONS / int(cycles[1])
    sys.stdout.write(f"\nThe inner loop of SDOT on Neoverse N1, by llvm-mca: {reached:.1f} of 32 products a cycle\n")
    sys.stdout.write(predicted[: predicted.index("Instruction Info")] + predicted[predicted.index("Resources:") :])
    assert reached >= LEAST
