"""The documents tell the truth: their local commands run, their outputs are compared, and every name in them exists.

In a `console` block a line after `$ ` is run, and what follows is its output, in which `…` stands for anything. What needs an
account is a block of `sh`, and is checked for syntax only.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.documents import DOCUMENTS, Document, files, same

README = DOCUMENTS[0]
MOST_LINES = 350
"""Of the front page."""
PORT = "8080"
BACKGROUND = "make run"
BUILD = "make model "
NOT_FROM_WITHIN = ("make test",)
"""Commands that run these tests."""
SECONDS = 300
CHECKED_ELSEWHERE = {"diff"}
"""tests/recipes/test_recipes.py applies them."""

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.path)


@pytest.fixture(scope="module")
def port() -> str:
    """Return a free port to use in place of the documents'."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def server(port: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run `make run` for all documents; yield what it printed."""
    with served(BACKGROUND, port, tmp_path_factory.mktemp("server") / "log") as printed:
        yield printed


@contextlib.contextmanager
def served(line: str, port: str, log: Path) -> Iterator[str]:
    """Run a server command; yield what it printed until it listened."""
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=ROOT, env=os.environ | {"PORT": port}, stdout=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + SECONDS
        while (printed := log.read_text()).count("\n") < 2:
            assert process.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.1)
        yield printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def run(line: str, port: str) -> str:
    """Run a command to its end; return what it printed."""
    line = line.replace(f":{PORT}/", f":{port}/")
    done = subprocess.run(
        ["bash", "-ec", line], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def built(line: str) -> str:
    """Build a model; return what was printed. Two documents have the same command, and it takes seconds."""
    return run(line, PORT)


# --- Commands ---------------------------------------------------------------------------------------------


def test_the_server_prints_what_the_front_page_says(server: str, port: str) -> None:
    """It says where it listens, and how to send a request."""
    (first, *_) = [command for command in README.commands if command.line == BACKGROUND]
    assert same(server.replace(f":{port}/", f":{PORT}/"), first.output)


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if document.commands], ids=lambda document: document.path)
def test_every_local_command_prints_what_the_document_says(document: Document, server: str, port: str) -> None:
    """In order, against one server."""
    assert server
    for command in document.commands:
        if not command.line.startswith((BACKGROUND, *NOT_FROM_WITHIN)):
            output = built(command.line) if command.line.startswith(BUILD) else run(command.line, port)
            assert same(output, command.output), f"{command.line}\nprinted {output[:2000]}\nnot {command.output}"


SERVERS = sorted({command.line for document in DOCUMENTS for command in document.commands if command.line.startswith(BACKGROUND)})


@pytest.mark.parametrize("line", SERVERS[1:])
def test_every_server_command_serves(line: str, port: str, tmp_path: Path) -> None:
    """The command before it on its page built what it needs; without that page's test, this one builds it."""
    if match := re.search(r"MODEL_DIR=(\S+)", line):
        shown = next(command for command in README.commands if f"OUT={match[1]}" in command.line)
        if not (ROOT / match[1] / "manifest.json").exists():
            built(shown.line)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with served(line, port, tmp_path / "log"):
        assert run(f"curl -s http://127.0.0.1:{PORT}/health", port) == "{}"


@pytest.mark.parametrize(
    ("kind", "block"), [block for document in DOCUMENTS for block in document.blocks if block[0] not in {"console", ""}]
)
def test_every_block_that_is_not_run_is_checked(kind: str, block: str) -> None:
    """Shell that cannot run here says why in its first line. Snippets of clients are the ones that `make test-clients` runs."""
    match kind:
        case "sh":
            assert block.startswith(("# needs an AWS account\n", "# writes over the committed figures\n"))
            subprocess.run(["bash", "-n"], input=block, text=True, check=True)
        case "python" | "js":
            assert any(block in script.read_text() for script in (ROOT / "tests/clients/scripts").iterdir())
        case "json":
            assert json.loads(block)
        case "yaml":
            assert yaml.compose(block)
        case _:
            assert kind in CHECKED_ELSEWHERE, f"no test checks a block of {kind}"


@every_document
def test_a_shell_variable_is_set_before_it_is_used(document: Document) -> None:
    """By an output of the stack, or by a command above: nobody needs the console to find a value."""
    shell = "".join(document.written_in("sh"))
    set_at = {match[1]: match.start() for match in reversed(list(re.finditer(r"^([A-Z_]+)=", shell, re.MULTILINE)))}
    used_at = {match[1]: match.start() for match in reversed(list(re.finditer(r"\$([A-Z_]+)", shell)))}
    assert document.path != "handler/DEPLOYING.md" or used_at.keys() >= {"SECRET", "URL", "BULK", "EXECUTION"}
    assert all(set_at.get(name, len(shell)) < place for name, place in used_at.items()), (set_at, used_at)
    outputs = (ROOT / "template.yaml").read_text().partition("\nOutputs:\n")[2]
    names = re.findall(r"\$\(output (\w+)\)", shell)
    assert not names or "output() {" in shell
    for name in names:
        assert f"\n  {name}:\n" in f"\n{outputs}", name


# --- Names ------------------------------------------------------------------------------------------------


def test_every_markdown_file_is_a_document() -> None:
    """A new one is a row of DOCUMENTS, or nobody checks it."""
    assert set(files("*.md")) == {document.path for document in DOCUMENTS} | {"CHANGELOG.md"}


def test_the_front_page_is_short() -> None:
    """Details belong in the documents of the rooms."""
    assert README.text.count("\n") <= MOST_LINES


def test_every_folder_and_file_in_the_picture_of_rooms_is_there() -> None:
    """Including the parts of handler/ and layers/."""
    (picture,) = README.written_in("")
    folder = Path()
    for indent, name in re.findall(r"^( *)(\S+)", picture, re.MULTILINE):
        path = folder / name if indent else Path(name)
        folder = folder if indent else path
        assert (ROOT / path).exists(), path


def test_the_handler_s_map_has_every_module_and_no_other() -> None:
    """In the docstring of handler/__init__.py."""
    (rooms, _) = (ROOT / "handler/__init__.py").read_text().split("Import law")
    modules = {path.name for path in (ROOT / "handler").glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in (ROOT / "handler").glob("*/__init__.py")}
    assert set(re.findall(r"(?<!\S)[a-z_]+(?:\.py\b|/(?=\s))", rooms)) == modules | folders


@every_document
def test_every_link_leads_to_a_file_and_a_heading(document: Document) -> None:
    """Headings have the names that GitHub gives them."""
    by_file = {(ROOT / other.path).resolve(): other for other in DOCUMENTS}
    for path, anchor in document.links:
        assert path.exists(), path
        assert not anchor or anchor in by_file[path.resolve()].anchors, f"{path}#{anchor}"


def test_every_document_can_be_reached_from_the_front_page() -> None:
    """By links."""
    by_file = {(ROOT / document.path).resolve(): document for document in DOCUMENTS}
    reached, waiting = set(), [README]
    while waiting:
        document = waiting.pop()
        if document not in reached:
            reached.add(document)
            waiting += [by_file[path.resolve()] for path, _ in document.links if path.resolve() in by_file]
    assert reached == set(DOCUMENTS)


@every_document
def test_every_target_that_a_document_names_is_in_the_makefile(document: Document) -> None:
    """`make help` lists them."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`(?:[A-Z_]+=\S+ )?make ([a-z-]+)[`\s]", document.prose)
    run = re.findall(r"^(?:\$ )?make ([a-z-]+)", "".join(text for _, text in document.blocks), re.MULTILINE)
    assert {*named, *run} <= targets


NAMED_FILE = re.compile(r"(?<![\w./-])((?:tests|handler|layers|events)/[\w./-]+\.(?:py|txt|json|yml|c|h|sh))\b")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@every_document
def test_every_file_and_test_that_a_document_names_is_there(document: Document) -> None:
    """Or is added by the example of a recipe. A path that holds NAME stands for any."""
    examples = "".join(path.read_text("utf-8") for path in (ROOT / "tests/recipes").glob("*.diff"))
    for file in NAMED_FILE.findall(document.prose):
        assert (ROOT / file).exists() or "NAME" in file or f"+++ {file}\n" in examples, file
    for file, name in NAMED_TEST.findall(document.text):
        assert f"def {name}(" in (ROOT / file).read_text(), name


@pytest.mark.parametrize("claim", ["never a text", "blocks nobody", "Memory is bounded"])
def test_a_claim_about_every_input_names_the_test_that_checks_it(claim: str) -> None:
    """In its own paragraph or item."""
    texts = [text for document in DOCUMENTS for text in re.split(r"\n\n|\n(?=- )", document.text)]
    paragraphs = [text for text in texts if claim in text]
    assert paragraphs
    assert all(NAMED_TEST.search(text) for text in paragraphs)


SETTINGS = re.compile(r"environ(?:ment)?(?:\.get\(|\[|, )\"([A-Z][A-Z0-9_]+)\"")
AWS_S_OWN = re.compile(r"AWS_.*")


def test_the_tables_of_settings_have_every_environment_variable_that_is_read() -> None:
    """handler/README.md lists what the settings read, and no other variable."""
    sources = "".join((ROOT / "handler" / file).read_text() for file in ("config.py", "pipeline_settings.py"))
    read = {name for name in SETTINGS.findall(sources) if not AWS_S_OWN.fullmatch(name)}
    (page,) = [document for document in DOCUMENTS if document.path == "handler/README.md"]
    rows = [row.partition("|")[0] for row in re.findall(r"^\| (`[A-Z0-9_]+`.*)$", page.text, re.MULTILINE)]
    assert {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)} - {"SINK"} == read - {"SINK"}


def test_every_price_on_the_front_page_is_what_make_cost_prints() -> None:
    """When the figures change, the front page must change too."""
    command = [sys.executable, "-m", "tests.benchmarks.cost"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    prices = re.findall(r"\$(\d+\.\d+)", README.prose)
    assert len(set(prices)) >= 2
    assert set(prices) <= set(re.findall(r"\d+\.\d+", printed))


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
def test_an_output_is_compared_with_its_promise(actual: str, promised: str, *, kept: bool) -> None:
    """The comparison can fail."""
    assert same(actual, promised) == kept
