"""Read modules.json: the modules that a Sentence Transformers model passes a text through, in order.

Files of all versions of the library are read. A module is recognized by the last part of its type, which no version has changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from layers.model import known_fields
from layers.model.configuration import Configuration, Unsupported, inside, read_json, shown
from layers.model.module_types import READERS, WIDEST, WITHOUT_WEIGHTS, Module, Normalize, WordWeights

LIBRARY = "sentence_transformers"
LIST = "modules.json"
STATIC = "StaticEmbedding"
"""The module of a model that is a table (static.py)."""
SETTINGS = "config_sentence_transformers.json"
KNOWN = ("Transformer", STATIC, "Pooling", "Dropout", *READERS)
OTHERS: Mapping[str, str] = {
    "Router": "it has an encoder for each kind of text: build each from its own folder",
    "Asym": "it has an encoder for each kind of text: build each from its own folder",
    "CLIPModel": "it embeds images too: take the model's text encoder, such as clip-ViT-B-32-multilingual-v1",
    "MultiVectorMask": "it is of models with a vector for each token: take a model with one vector a text",
}
"""Modules of the library that are refused, with the reason. `_listed` has the reason for all other modules."""

POOLING_MODES: Mapping[str, str | None] = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
"""The one table of pooling modes. pooling.WEIGHTED has a row for each of them, too.

Each mode has the boolean that selected it before Sentence Transformers 5.4, or None if there was none. If several booleans are
true, the results are concatenated in the order of this table.
"""

MOST_MODULES = 100


@dataclass(frozen=True, slots=True)
class Pooling:
    """A Pooling module: it concatenates the results of `modes` over the tokens' vectors, which have `hidden` numbers each."""

    modes: tuple[str, ...]
    hidden: int
    include_prompt: bool

    @classmethod
    def read(cls, config: Configuration) -> Self:
        """Read a Pooling module's config.json.

        Raises:
            Unsupported: it names an unknown mode.
        """
        known_fields.POOLING.check(config)
        named = config.get("pooling_mode")  # Sentence Transformers 5.4 and later: a name or a list of them
        flagged = [mode for mode, flag in POOLING_MODES.items() if flag and config.flag(flag)] or ["mean"]
        modes = flagged if named is None else [named] if isinstance(named, str) else named
        if (
            not isinstance(modes, list)
            or not 0 < len(modes) <= len(POOLING_MODES)
            or not all(isinstance(mode, str) and mode in POOLING_MODES for mode in modes)
        ):
            config.refuse("pooling_mode", f"this builder knows {', '.join(POOLING_MODES)} and lists of them")
        field = "embedding_dimension" if config.get("embedding_dimension") else "word_embedding_dimension"
        hidden = config.number(field, int, least=1, most=WIDEST)
        return cls(tuple(modes), hidden, config.flag("include_prompt", default=True))

    @property
    def dimension(self) -> int:
        """The length of a pooled vector."""
        return self.hidden * len(self.modes)


@dataclass(frozen=True, slots=True)
class Modules:
    """The modules of a model, in the order in which they compute a text's vector.

    `transformer` is the path of the Transformer module's folder in the model's folder. The modules `before` Pooling work on the
    tokens' vectors, those `after` it on the text's vector. `normalize` says that a Normalize module ends the list; `after` does not
    contain it.
    """

    transformer: str
    before: tuple[Module, ...]
    pooling: Pooling
    after: tuple[Module, ...]
    normalize: bool

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read modules.json and the configuration of each module after the first.

        Raises:
            Unsupported: a module is unknown, custom or out of order; the sentence names it.
        """
        listed = in_order(folder)
        kinds = [kind for kind, _ in listed]
        alone = kinds.count("Transformer") == kinds.count("Pooling") == 1
        if kinds[:1] != ["Transformer"] or not alone or STATIC in kinds:
            raise _disordered(kinds)
        place = kinds.index("Pooling")
        before, after = _read(folder, listed[1:place]), _read(folder, listed[place + 1 :])
        if (
            not all(module.of_tokens for module in before)
            or any(module.of_tokens for module in after)
            or "Dropout" in kinds[:place]
        ):
            raise _disordered(kinds)
        if sum(isinstance(module, WordWeights) for module in before) > 1:
            msg = f"modules.json has the modules {', '.join(kinds)}; this builder knows WordWeights once"
            raise Unsupported(msg)
        kept = list(after)
        while kept and isinstance(kept[-1], Normalize):
            kept.pop()
        pooling = Pooling.read(Configuration.read(folder, named(listed[place][1])))
        modules = cls(listed[0][1], tuple(before), pooling, tuple(kept), len(kept) < len(after))
        modules.check_dimensions()
        return modules

    @classmethod
    def without_list(cls, hidden: int, mode: str) -> Self:
        """Return what the library uses for a folder without modules.json: one Pooling of vectors of `hidden` numbers."""
        return cls("", (), Pooling((mode,), hidden, include_prompt=True), (), normalize=False)

    @staticmethod
    def only_transformer(folder: Path) -> str:
        """Return the folder of the Transformer module, the only one of a cross-encoder.

        Raises:
            Unsupported: there are other modules.
        """
        listed = [_listed(folder, module) for module in _list(folder)]
        if [kind for kind, _ in listed] != ["Transformer"]:
            kinds = ", ".join(kind for kind, _ in listed) or "none"
            msg = f"modules.json has the modules {kinds}; this builder knows cross-encoders of one module, Transformer"
            raise Unsupported(msg)
        return listed[0][1]

    def check_dimensions(self) -> None:
        """Check that each module takes vectors of the length that the module before it returns.

        Raises:
            Unsupported: a module takes another length.
        """
        given = _through(self.before, self.hidden)
        if given != self.pooling.hidden:
            msg = f"the Pooling module expects vectors of dimension {self.pooling.hidden}, but the module before it gives {given}"
            raise Unsupported(msg)
        _through(self.after, self.pooling.dimension)

    @property
    def hidden(self) -> int:
        """The length of the encoder's vectors."""
        return next((module.inputs for module in self.before if module.inputs is not None), self.pooling.hidden)

    @property
    def dimension(self) -> int:
        """The length of a text's vector."""
        return _through(self.after, self.pooling.dimension)

    @property
    def around_pooling(self) -> tuple[Module, ...]:
        """All modules but Transformer, Pooling, Dropout and the last Normalize."""
        return self.before + self.after


def _through(modules: Iterable[Module], given: int) -> int:
    """Return the length that vectors of `given` numbers have after all modules.

    Raises:
        Unsupported: a module takes another length.
    """
    for module in modules:
        if module.inputs not in {given, None}:
            msg = f"{named(module.folder)} takes vectors of dimension {module.inputs}, but the module before it gives {given}"
            raise Unsupported(msg)
        given = module.outputs or given
    return given


def _read(folder: Path, listed: Sequence[tuple[str, str]]) -> list[Module]:
    modules: list[Module] = []
    for kind, place in listed:
        config = Configuration.read(folder, named(place), optional=kind in WITHOUT_WEIGHTS)
        if kind == "Dropout":
            known_fields.DROPOUT.check(config)
        else:
            modules.append(READERS[kind](config, place))
    return modules


def _disordered(kinds: Sequence[str]) -> Unsupported:
    return Unsupported(
        f"modules.json has the modules {', '.join(kinds) or 'none'}; this builder knows Transformer, then those that work on the "
        "tokens' vectors, Pooling, and those that work on the text's"
    )


def in_order(folder: Path) -> list[tuple[str, str]]:
    """Return the kind and the folder of each module that modules.json lists.

    Raises:
        Unsupported: the file is damaged, or a module is unknown or outside the folder.
    """
    return [_listed(folder, module) for module in _list(folder)]


def _list(folder: Path) -> list[dict[str, Any]]:
    modules = read_json(folder, LIST)
    if not isinstance(modules, list) or not all(
        isinstance(module, dict) and isinstance(module.get("type"), str) and isinstance(module.get("path"), str)
        for module in modules
    ):
        msg = f"modules.json in {folder} is not a list of modules with a type and a path"
        raise Unsupported(msg)
    if len(modules) > MOST_MODULES:
        msg = f"modules.json in {folder} lists {len(modules)} modules; this builder takes at most {MOST_MODULES}"
        raise Unsupported(msg)
    return modules


def _listed(folder: Path, module: dict[str, Any]) -> tuple[str, str]:
    known_fields.MODULES.check(Configuration("modules.json", module))
    library, _, kind = module["type"].rpartition(".")
    if library.partition(".")[0] != LIBRARY:
        msg = (
            f"modules.json names the module {shown(module['type'])}, code of the model's own, and none is run here: take a "
            f"copy of the folder whose modules.json names {LIBRARY}.models.{kind} instead, if the module does the same for texts"
        )
        raise Unsupported(msg)
    if kind not in KNOWN:
        reason = OTHERS.get(kind, "take a model without it")
        known = f"this builder knows {LIBRARY}'s {', '.join(KNOWN)}"
        msg = f"modules.json names the module {shown(module['type'])}: {reason}; {known}"
        raise Unsupported(msg)
    inside(folder, module["path"])
    return kind, module["path"]


def named(folder: str) -> str:
    """Return the path of a module's configuration file."""
    return f"{folder}/config.json"
