"""The documents of this repository, and their parts that tests check: code blocks, commands, links and headings."""

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tests.conftest import ROOT

NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


@dataclass(frozen=True)
class Command:
    """A command of a document, and the output that the document promises."""

    line: str
    output: str


@dataclass(frozen=True)
class Document:
    """One Markdown file, named by its path from the root."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text("utf-8")

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """The code blocks: the language that each names, and its text."""
        return re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)

    @cached_property
    def prose(self) -> str:
        """The text without its code blocks."""
        return re.sub(r"^```\w*\n.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @cached_property
    def anchors(self) -> set[str]:
        """The names under which its headings can be linked."""
        titles = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

    @cached_property
    def links(self) -> list[tuple[Path, str]]:
        """The links within this repository: the file, and the heading or an empty string."""
        targets = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", self.prose)
        return [((ROOT / self.path).parent / path if path else ROOT / self.path, anchor) for path, anchor in targets]

    def written_in(self, language: str) -> list[str]:
        """Return the code blocks of a language."""
        return [text for name, text in self.blocks if name == language]

    @property
    def commands(self) -> list[Command]:
        """The local commands, in order: lines after `$ ` in `console` blocks."""
        parts = [part for block in self.written_in("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
        return [Command(*part.partition("\n")[::2]) for part in parts]


DOCUMENTS = tuple(
    map(
        Document,
        (
            "README.md",
            "CONTRIBUTING.md",
            "events/README.md",
            "handler/DEPLOYING.md",
            "handler/README.md",
            "layers/model/README.md",
            "layers/runtime/operators/README.md",
            "tests/benchmarks/README.md",
            "tests/clients/README.md",
        ),
    )
)
"""Every Markdown file but CHANGELOG.md, whose lines are history."""


def files(pattern: str = "*") -> list[str]:
    """Return the paths of this repository's files, committed or new, that match a pattern of git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).exists()]


def same(actual: str, promised: str) -> bool:
    """Return whether an output keeps a promise, in which `…` stands for anything.

    Text must be the same. Numbers before the first `…` and after the last must be close as one vector, because kinds of processor
    differ in the last bits.
    """
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
