"""The recipes of CONTRIBUTING.md work: each example is applied to a copy of this repository, where the test that it adds is run.

An example is tests/recipes/NAME.diff, a diff without line numbers. `+++ PATH` names a file. After each `@@` follow lines of that
file (` `), lines to remove (`-`) and lines to add (`+`). The lines of the file must occur in it exactly once. A file that does not
exist is created.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.documents import files

HERE = Path(__file__).parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MODELS = ("model", "model-fp32")
SECONDS = 300


@dataclass(frozen=True)
class Hunk:
    """Neighbouring lines of a file, before and after a change."""

    before: str
    after: str

    def apply(self, text: str) -> str:
        """Return the text with the change.

        Raises:
            AssertionError: the lines before the change do not occur exactly once.
        """
        if not self.before:
            return text + self.after
        places = [match.start() for match in re.finditer(f"^(?={re.escape(self.before)})", text, re.MULTILINE)]
        assert len(places) == 1, f"not found once:\n{self.before}"
        return text[: places[0]] + self.after + text[places[0] + len(self.before) :]


type Example = dict[str, list[Hunk]]
"""The changes of an example, by the paths of their files."""


def read(diff: str) -> Example:
    """Read an example."""
    _, *parts = re.split(r"^\+\+\+ (.+)\n", diff, flags=re.MULTILINE)
    return {path: [_hunk(text) for text in body.split("@@\n")[1:]] for path, body in zip(parts[::2], parts[1::2], strict=True)}


def _hunk(text: str) -> Hunk:
    lines = text.splitlines(keepends=True)
    assert all(line[0] in " +-" for line in lines), text
    before, after = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
    return Hunk(before, after)


def apply(example: Example, root: Path) -> None:
    """Change the files under `root`."""
    for path, hunks in example.items():
        file = root / path
        text = file.read_text("utf-8") if file.exists() else ""
        for hunk in hunks:
            text = hunk.apply(text)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Recipe:
    """A section of CONTRIBUTING.md. Its steps name files, and its example changes these files."""

    name: str
    section: str

    @property
    def example(self) -> Example:
        return read((HERE / f"{self.name}.diff").read_text("utf-8"))

    @property
    def steps(self) -> set[str]:
        """The files that the numbered steps name first. NAME in a path stands for anything."""
        return set(re.findall(r"^\d+\. `([^`]+)`", self.section, re.MULTILINE))

    @property
    def tests(self) -> list[str]:
        """The arguments of the section's `make test TESTS=…`."""
        (tests,) = re.findall(r"`make test TESTS=\"?([^`\"]+)\"?`", self.section)
        return str(tests).split()


def recipes() -> Iterator[Recipe]:
    """Yield the sections of CONTRIBUTING.md that link an example."""
    for part in re.split(r"^### ", CONTRIBUTING, flags=re.MULTILINE)[1:]:
        section = part.partition("\n## ")[0]
        if linked := re.search(r"\(tests/recipes/([\w-]+)\.diff\)", section):
            yield Recipe(linked[1], section)


RECIPES = list(recipes())
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy this repository, with the built models."""
    root = tmp_path_factory.mktemp("repository")
    for path in files():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, root / path)
    (root / "build").mkdir()
    for model in MODELS:
        (root / "build" / model).symlink_to((ROOT / "build" / model).resolve())
    return root


@contextlib.contextmanager
def changed(root: Path, *examples: Example) -> Iterator[None]:
    """Apply examples to the files under `root`, and undo them at the end."""
    try:
        for example in examples:
            apply(example, root)
        yield
    finally:
        for path in {path for example in examples for path in example}:
            (root / path).unlink(missing_ok=True)
            if (ROOT / path).exists():
                shutil.copy2(ROOT / path, root / path)


def run(root: Path, *command: str) -> tuple[bool, str]:
    """Run a Python module under `root`; return whether it succeeded, and what it printed.

    Bytecode is kept in the copy, because the next example would compile the whole repository again.
    """
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    return done.returncode == 0, done.stdout + done.stderr


@every_recipe
def test_following_a_recipe_makes_the_test_pass_that_it_adds(recipe: Recipe, repository: Path) -> None:
    """The changed files keep the project's style. Each case starts pytest anew, which takes most of the time."""
    with changed(repository, recipe.example):
        passed, printed = run(repository, "pytest", "-q", "-x", *recipe.tests)
        assert passed, printed
        for check in (["check"], ["format", "--check"]):
            clean, printed = run(repository, "ruff", *check, *(path for path in recipe.example if path.endswith(".py")))
            assert clean, printed


def test_no_test_of_an_example_passes_before_the_code_is_changed(repository: Path) -> None:
    """Otherwise it would say nothing about the recipe."""
    tests = [{path: hunks for path, hunks in recipe.example.items() if path.startswith("tests/")} for recipe in RECIPES]
    with changed(repository, *tests):
        added = sorted({test for recipe in RECIPES for test in recipe.tests if not (ROOT / test).exists()})
        passed, printed = run(repository, "pytest", "-q", "--continue-on-collection-errors", *added)
    assert not passed
    assert re.search(r"^\d+ failed, \d+ errors? in ", printed, re.MULTILINE), printed


@every_recipe
def test_an_example_changes_the_files_that_its_recipe_names_and_no_others(recipe: Recipe) -> None:
    """A reader who follows the steps forgets no file."""
    patterns = {step: re.compile(re.escape(step).replace("NAME", r"[\w-]+")) for step in recipe.steps}
    paths = set(recipe.example)
    assert {path for path in paths if not any(pattern.fullmatch(path) for pattern in patterns.values())} == set()
    assert {step for step, pattern in patterns.items() if not any(map(pattern.fullmatch, paths))} == set()
    assert {test.split("::")[0] for test in recipe.tests} & paths


def test_every_recipe_has_an_example_and_every_example_a_recipe() -> None:
    """A recipe without an example is not tested."""
    chapter = CONTRIBUTING.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^### ", chapter, re.MULTILINE)) == len(RECIPES) >= 7
    assert {path.stem for path in HERE.glob("*.diff")} == {recipe.name for recipe in RECIPES}


@pytest.mark.parametrize(
    ("text", "hunk", "result"),
    [
        ("a\nb\n", Hunk("a\n", "a\nx\n"), "a\nx\nb\n"),
        ("", Hunk("", "new\n"), "new\n"),
        ("aa\n", Hunk("a\n", "x\n"), None),
        ("a\na\n", Hunk("a\n", "x\n"), None),
    ],
)
def test_a_hunk_applies_where_its_lines_occur_once(text: str, hunk: Hunk, result: str | None) -> None:
    """Anywhere else, the example is out of date."""
    if result is None:
        with pytest.raises(AssertionError, match="not found once"):
            hunk.apply(text)
    else:
        assert hunk.apply(text) == result
