"""README.md tells the truth: its local commands are run, their outputs compared, and what needs an account parses as shell.

In a `console` block a line after `$ ` is run and what follows is its output, in which `…` stands for anything. Text must be the
same, vectors must be the same by cosine (kinds of CPU differ in their last bits), numbers in any other place are the reader's.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PORT = "8080"
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
BACKGROUND = "make run"
NOT_FROM_WITHIN = {"make test"}
"""Running here at this moment."""
SECONDS = 300


@dataclass(frozen=True)
class Command:
    """A command of the README and the output it promises."""

    line: str
    output: str


BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
"""The README's code blocks: the language each names, and its text."""


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return [text for name, text in BLOCKS if name == language]


def commands() -> list[Command]:
    """Every local command, in order."""
    parts = [part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [Command(*part.partition("\n")[::2]) for part in parts]


def same(actual: str, promised: str) -> bool:
    """Whether the output keeps the promise."""
    pattern = ".*".join(re.escape(NUMBER.sub("#", part)) for part in promised.strip().split("…"))
    numbers = [np.array([float(number) for number in NUMBER.findall(text)]) for text in (promised, actual)]
    if "…" not in promised and len(numbers[0]) != len(numbers[1]):
        return False
    first, last = (len(NUMBER.findall(part)) for part in (promised.partition("…")[0], promised.rpartition("…")[2]))
    theirs, ours = (np.concatenate([found[:first], found[len(found) - last :]]) for found in numbers)
    if len(ours) != len(theirs):
        return False
    close = not len(ours) or ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.99
    return close and re.fullmatch(pattern, NUMBER.sub("#", actual).strip(), re.DOTALL) is not None


@pytest.fixture(scope="module")
def port() -> str:
    """A free port in place of the README's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@contextlib.contextmanager
def served(line: str, port: str, log: Path) -> Iterator[str]:
    """Run a server command until it says where it listens; what it printed until then."""
    with log.open("w") as output:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=ROOT, env=os.environ | {"PORT": port}, stdout=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + SECONDS
        while (printed := log.read_text()).count("\n") < 2:
            assert server.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.1)
        yield printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def run(line: str, port: str) -> str:
    """Run a command to its end; what it printed."""
    line = line.replace(f":{PORT}/", f":{port}/")
    done = subprocess.run(
        ["bash", "-ec", line], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_local_command_does_what_the_readme_says(port: str, tmp_path: Path) -> None:
    """In order, against the server that the README starts."""
    servers = [command for command in commands() if command.line.startswith(BACKGROUND)]
    assert servers[0].line == BACKGROUND
    checked = 0
    with served(BACKGROUND, port, tmp_path / "log") as printed:
        assert same(printed.replace(f":{port}/", f":{PORT}/"), servers[0].output)
        for command in commands():
            if command in servers or command.line in NOT_FROM_WITHIN:
                continue
            output = run(command.line, port)
            assert same(output, command.output), f"{command.line}\nprinted {output[:2000]}\nnot {command.output}"
            checked += 1
    for server in servers[1:]:
        with served(server.line, port, tmp_path / "log"):
            assert run(f"curl -s http://127.0.0.1:{PORT}/health", port) == "{}"
    assert checked >= 6


@pytest.mark.parametrize("block", blocks("sh"))
def test_what_is_not_run_here_says_why_and_is_shell(block: str) -> None:
    """Marked in its first line, and checked for syntax alone."""
    assert block.startswith(("# needs an AWS account\n", "# writes over the committed figures\n"))
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_what_a_shell_is_to_have_it_was_given_above() -> None:
    """By an output of the stack, or by what a command before printed: nobody needs the console to find it."""
    shell = "".join(blocks("sh"))
    given = {match[1]: match.start() for match in re.finditer(r"^([A-Z]+)=", shell, re.MULTILINE)}
    asked = {match[1]: match.start() for match in reversed(list(re.finditer(r"\$([A-Z]+)", shell)))}
    assert asked.keys() >= {"SECRET", "URL", "BULK", "EXECUTION"}
    assert all(given.get(name, len(shell)) < place for name, place in asked.items()), (given, asked)
    outputs = (ROOT / "template.yaml").read_text().partition("\nOutputs:\n")[2]
    for name in re.findall(r"\$\(output (\w+)\)", shell):
        assert f"\n  {name}:\n" in f"\n{outputs}", name


@pytest.mark.parametrize("snippet", blocks("python") + blocks("js"))
def test_a_client_s_snippet_is_what_its_test_runs(snippet: str) -> None:
    """To the letter, in one of tests/clients/scripts/, which `make test-clients` runs."""
    assert any(snippet in script.read_text() for script in (ROOT / "tests/clients/scripts").iterdir())


def test_every_code_block_is_of_a_kind_that_is_checked() -> None:
    """Nothing on the page is left out by the tests above, but the picture of the folders."""
    assert {language for language, _ in BLOCKS} == {"console", "sh", "python", "js", ""}
    assert len(blocks("")) == 1


def test_every_folder_and_file_in_the_picture_is_there() -> None:
    """With the parts of handler/ and layers/ under them."""
    (picture,) = blocks("")
    folder = Path()
    for indent, name in re.findall(r"^( *)(\S+)", picture, re.MULTILINE):
        path = folder / name if indent else Path(name)
        folder = folder if indent else path
        assert (ROOT / path).exists(), path


def test_every_target_named_on_the_page_is_in_the_makefile() -> None:
    """`make help` has them all."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)[`\s]", README)) <= targets


NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("claim", ["never a text", "blocks nobody", "Memory is bounded"])
def test_a_claim_that_holds_whatever_is_sent_names_the_test_that_holds_it(claim: str) -> None:
    """In its own paragraph or item."""
    paragraphs = [text for text in re.split(r"\n\n|\n(?=- )", README) if claim in text]
    assert paragraphs
    assert all(NAMED_TEST.search(text) for text in paragraphs)


def test_every_test_named_on_the_page_is_there() -> None:
    """Under its name, in its file."""
    named = NAMED_TEST.findall(README)
    assert len(named) >= 4
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(), name


@pytest.mark.parametrize(
    ("actual", "promised", "kept"),
    [
        ("[[0.1,0.2]]", "[[0.1001,0.2]]", True),
        ("[[0.1,0.2]]", "[[0.2,0.1]]", False),
        ("[[0.1,0.2,0.3]]", "[[0.1,0.2]]", False),
        ("[[0.1,0.2,0.3,0.4]]", "[[0.1,…,0.4]]", True),
        ("[[0.1,0.2,0.3,0.4]]", "[[0.1,…,-0.4]]", False),
        ("one\ntwo\n", "one\n…", True),
        ("one", "two", False),
    ],
)
def test_an_output_is_held_to_its_promise(actual: str, promised: str, *, kept: bool) -> None:
    """What is compared here does fail."""
    assert same(actual, promised) == kept
