"""A reference model: its network, the modules after it, and a change to the saved folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.layers.model.oracle import changes, networks, static

TEXTS = (
    "A sunny day.",
    "a",
    "Some words, and more of them: for instance THESE!",
    "Ünïcödé, 한국어, Ελλάς and a 🦜.",
    ".",
    " ",
    "  blanks \t around\n ",
    "a [SEP] b </s> c <pad> d [PAD] e <mask> f",
    "long " * 40 + "and ends otherwise",
)
"""Texts that are short, blank or too long, with Unicode and special tokens."""


Steps = Callable[[Any], list[Any]]


@dataclass(frozen=True)
class Case:
    """One model: its network, the modules after it, and a change to the saved folder.

    `longest` is the limit of tokens if the library's own does not work.
    """

    network: Callable[[], tuple[Any, Any]] = networks.bert
    pooling: dict[str, Any] = field(default_factory=lambda: {"pooling_mode": "mean"})
    dense: tuple[dict[str, Any], ...] = ()
    normalize: bool = False
    prompts: dict[str, Any] = field(default_factory=dict)
    limit: int | None = networks.LIMIT
    longest: int | None = None
    change: changes.Change = lambda _: None
    exported: bool = False
    table: static.Save | None = None
    """Saves a static model, in place of a network."""
    steps: Steps = lambda pooling: [pooling]
    """The modules after the Transformer, in place of Pooling and Dense modules."""
    texts: tuple[str, ...] = TEXTS
    loaded: Callable[[Any, Path], object] = lambda _model, _folder: None
    """A change to the library's loaded model, where it has no network of the family."""
    afterwards: changes.Change = lambda _: None
    """A change after the vectors were computed, where the library's last two major versions disagree."""
