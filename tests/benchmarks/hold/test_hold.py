"""Holding processes back to AVX2: the setting, and what a process sees of the processor."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from layers.runtime.operators import build
from tests.benchmarks.__main__ import BENCHMARKS, holdable
from tests.benchmarks.compiling import compiled
from tests.benchmarks.hold.copies import Copy, Unknown
from tests.benchmarks.hold.cpuid import CPUID, TRAP, find, trapping
from tests.benchmarks.hold.effect import require_copies, require_saturation
from tests.benchmarks.hold.setting import ONNXRUNTIME, OURS, Hold
from tests.benchmarks.machine import AVX2, AVX512_VNNI, AVX_VNNI, flags

linux_on_x86_64 = pytest.mark.skipif(
    build.this_machine() != ("x86_64", "Linux") or "avx2" not in flags(),
    reason="only Linux on x86_64 with AVX2 can be held back to it",
)

SOURCE = r"""
/* The registers after CPUID: eax, ebx, ecx, edx. */
__attribute__((visibility("default"))) void cpuid(unsigned leaf, unsigned subleaf, unsigned *found) {
    __asm__ volatile("cpuid" : "=a"(found[0]), "=b"(found[1]), "=c"(found[2]), "=d"(found[3]) : "a"(leaf), "c"(subleaf));
}

/* The two bytes of CPUID at the start, in the middle and at the end of a number that is loaded. */
__attribute__((visibility("default"))) unsigned numbers(void) {
    unsigned one, two, three;
    __asm__ volatile("mov $0x1111a20f, %0\n mov $0x11a20f11, %1\n mov $0xa20f1111, %2" : "=r"(one), "=r"(two), "=r"(three));
    return one + two + three;
}

__attribute__((visibility("default"))) void stop(void) { __asm__ volatile("ud2"); }
"""
AVX2_BIT, AVX512F_BIT, AVX512_VNNI_BIT = 1 << 5, 1 << 16, 1 << 11
"""In leaf 7 of CPUID: two bits of ebx and one of ecx."""
CALLS = """
import ctypes, json, sys
library = ctypes.CDLL(sys.argv[1])
for name in sys.argv[2:]:
    leaf, _, subleaf = name.partition(".")
    if leaf.isdigit():
        found = (ctypes.c_uint * 4)()
        library.cpuid(int(leaf), int(subleaf), found)
        print(json.dumps(list(found)))
    else:
        print(library[name]() % (1 << 32))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a library with one CPUID instruction, on any machine."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "library.c").write_text(SOURCE)
    return compiled(folder / "library.c", folder / "library.so", "x86_64", "Linux", "-shared")


@pytest.fixture(scope="module")
def trapped(library: Path) -> Path:
    """Make a copy of the library in which CPUID traps."""
    path = library.with_name("trapped.so")
    path.write_bytes(trapping(library.read_bytes())[0])
    return path


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library that answers traps."""
    return compiled(Path(__file__).with_name("trap.c"), tmp_path_factory.mktemp("trap") / "trap.so", "x86_64", "Linux", "-shared")


def test_the_setting_holds_back_what_has_more_than_avx2_and_says_so_in_the_name_of_the_figures() -> None:
    """Nobody takes them for those of a processor with AVX2 alone."""
    for more in (AVX512_VNNI, AVX_VNNI):
        assert Hold.of("avx2", more) == Hold(held=True, name=f"{more} held back to AVX2")
        assert Hold.of("", more) == Hold(held=False, name=more)
    for isa in ("", "avx2"):
        assert Hold.of(isa, AVX2) == Hold(held=False, name=AVX2)


def test_nothing_is_held_back_to_what_is_unknown_or_not_there() -> None:
    """One sentence says which setting is wrong."""
    with pytest.raises(Unknown, match="ISA must be avx2 or not set; it is 'sse'"):
        Hold.of("sse", AVX2)
    with pytest.raises(Unknown, match="needs a processor with AVX2; this one is arm64"):
        Hold.of("avx2", "arm64")


def test_who_is_not_held_back_keeps_the_environment() -> None:
    """Nothing is copied or compiled for it."""
    assert Hold.of("", AVX512_VNNI).environment(OURS, Path("nowhere")).over({"NAME": "value"}) == {"NAME": "value"}


def test_benchmarks_that_start_processes_with_libraries_of_their_own_are_refused_or_left_out() -> None:
    """Their figures would be those of the whole processor."""
    assert holdable(["encoder"]) == ["encoder"]
    assert set(BENCHMARKS) - set(holdable([])) == {"cold", "static"}
    with pytest.raises(Unknown, match="does not hold back cold: their processes"):
        holdable(["encoder", "cold"])


def test_a_cpuid_instruction_is_replaced_and_the_same_bytes_in_another_instruction_are_not(library: Path) -> None:
    """A library keeps its size, and everything else in it."""
    before = library.read_bytes()
    after, count = trapping(before)
    (place,) = find(before)
    assert (count, before.count(CPUID), after.count(CPUID)) == (1, 4, 3)
    assert after == before[:place] + TRAP + before[place + 2 :]
    assert trapping(after) == (after, 0)


def test_a_package_without_cpuid_is_not_taken_for_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could recognize the processor in a way that is not known here."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "environment" / "lib" / "python3.13" / "site-packages" / "plain"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    with pytest.raises(
        Unknown, match="plain in environment cannot be held back to AVX2: none of its libraries has a CPUID instruction"
    ):
        Copy.of("plain", Path("environment"))


@linux_on_x86_64
def test_a_trapped_instruction_reports_a_processor_with_avx2_and_no_more(library: Path, trapped: Path, trap: Path) -> None:
    """It has the same vendor and the same older instructions as the real one."""
    asked = ["0.0", "1.0", "7.0", "7.1", "36.0", "numbers"]
    features, older, newer, *beyond, numbers = _called(trapped, asked, LD_PRELOAD=str(trap))
    real_features, real_older, real_newer, *_, real_numbers = _called(library, asked)
    assert (features[1:], older[2:], numbers) == (real_features[1:], real_older[2:], real_numbers)
    assert newer[1] & AVX2_BIT
    assert not newer[1] & AVX512F_BIT
    assert not newer[2] & AVX512_VNNI_BIT
    assert all(held & ~real == 0 for held, real in zip(newer[1:], real_newer[1:], strict=True))
    assert beyond == [[0, 0, 0, 0]] * 2  # AVX-VNNI, AVX10


@linux_on_x86_64
def test_a_trap_without_its_answer_and_any_other_invalid_instruction_end_the_process(trapped: Path, trap: Path) -> None:
    """A process is never held back in part without notice."""
    for name, variables in (("7.0", {}), ("stop", {"LD_PRELOAD": str(trap)})):
        with pytest.raises(subprocess.CalledProcessError) as failed:
            _called(trapped, [name], **variables)
        assert failed.value.returncode == -signal.SIGILL


@linux_on_x86_64
def test_onnx_runtime_computes_with_avx2_alone_in_a_process_that_is_held_back() -> None:
    """Its sums of bytes saturate, and a process that is not held back is recognized."""
    held = Hold(held=True, name="held").environment(ONNXRUNTIME, Path(sys.prefix))
    variables = held.over(os.environ)
    require_saturation(Path(sys.executable), variables)
    program = "import onnxruntime, sys; print(flush=True); sys.stdin.read()"
    for environment, is_held in ((variables, True), (os.environ, False)):
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as process:
            assert process.stdout
            process.stdout.readline()
            if is_held:
                require_copies(held, process.pid)
            else:
                with pytest.raises(Unknown, match="is not held back to AVX2"):
                    require_copies(held, process.pid)
            process.communicate()


@linux_on_x86_64
def test_onnx_runtime_that_does_not_start_is_not_taken_for_held() -> None:
    """Its copy without the library that answers the traps ends with a signal."""
    held = Hold(held=True, name="held").environment(ONNXRUNTIME, Path(sys.prefix))
    variables = {name: value for name, value in held.over(os.environ).items() if name != "LD_PRELOAD"}
    with pytest.raises(Unknown, match=r"ONNX Runtime of .* is not held back to AVX2"):
        require_saturation(Path(sys.executable), variables)


def _called(library: Path, names: list[str], **variables: str) -> list[Any]:
    """Call the functions of a library in a process of its own."""
    command = [sys.executable, "-c", CALLS, str(library), *names]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
