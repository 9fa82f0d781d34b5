"""The builder's tables are total: each row has its counterparts in the code, in the reference models and in the README.

test_precisions.py does the same for the table of precisions.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layers import model
from layers.model import known_fields
from layers.model.activations import DENSE, ENCODERS, OVER_TEXTS
from layers.model.architectures import ARCHITECTURES, VARIANTS, find
from layers.model.configuration import Configuration
from layers.model.families.traits import Architecture
from layers.model.head import WRITERS
from layers.model.module_types import READERS, WITHOUT_WEIGHTS
from layers.model.modules import KNOWN, OTHERS, POOLING_MODES, STATIC
from layers.model.networks import WRITERS as PRECISION_WRITERS
from layers.model.onnx_files import NAMES
from layers.model.onnx_inputs import INPUTS
from layers.model.overrides import BOOLEANS
from layers.model.pooling import WEIGHTED, WHOLE
from layers.model.precision import PRECISIONS
from layers.model.specification import OTHER_KINDS
from layers.model.static import AFTER
from layers.model.tokenizer import OVERRIDES
from layers.model.transformer import CLASSES as CLASSES_OF_FAMILIES
from layers.model.word_pieces import CLASSES
from tests.layers.model import references
from tests.layers.model.poolings import POOLINGS

FOLDER = Path(str(model.__file__)).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def files_of_references(pattern: str) -> Iterable[Any]:
    """Yield the JSON files of all reference models whose path matches a pattern."""
    for name in references.NAMES:
        for path, content in references.load(name)["files"].items():
            if re.fullmatch(pattern, path):
                yield content


def listed_in_readme(names: Iterable[str]) -> set[str]:
    """Return the names that the README has as whole words."""
    return {name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", README)}


def test_every_pooling_mode_has_a_writer_a_definition_and_a_place_in_the_readme() -> None:
    """A mode that can be simpler without a prompt must be there with one, too."""
    assert POOLING_MODES.keys() == WEIGHTED.keys() == POOLINGS.keys()
    assert WHOLE.keys() < WEIGHTED.keys()
    assert {flag for flag in POOLING_MODES.values() if flag} <= set(known_fields.POOLING.used)
    documented = next(line for line in README.splitlines() if line.startswith("| `POOLING` |"))
    assert {mode for mode in POOLING_MODES if f"`{mode}`" in documented} == set(POOLING_MODES)


def test_every_pooling_mode_that_the_library_has_is_in_a_reference_model() -> None:
    """Both alone and without the prompt. A mode without an old boolean may be ours alone."""
    pooled = list(files_of_references("[0-9]_Pooling/config.json"))
    for wanted in ({"include_prompt": True}, {"include_prompt": False}):
        found = [config["pooling_mode"] for config in pooled if "pooling_mode" in config and wanted.items() <= config.items()]
        modes = {mode for value in found for mode in ([value] if isinstance(value, str) else value)}
        assert {mode for mode, flag in POOLING_MODES.items() if flag} <= modes


def test_every_family_is_in_a_reference_model_and_in_the_readme() -> None:
    """A family that differs only in the prefix of its tensors computes the same as another one."""
    configs = [Configuration("config.json", content) for content in files_of_references("(0_Transformer/)?config.json")]
    checked = [_without_prefix(row) for row in map(find, configs) if row]
    rows = [*ARCHITECTURES.values(), *(row for variants in VARIANTS.values() for _, row in variants)]
    assert [row for row in rows if _without_prefix(row) not in checked] == []
    table = re.sub(r"[^a-z0-9]", "", README.partition("### Architectures")[2].partition("\n##")[0].lower())
    assert [name for name in ARCHITECTURES if re.sub(r"[^a-z0-9]", "", name) not in table] == []


def _without_prefix(row: Architecture) -> Architecture:
    return replace(row, prefix="")


@pytest.mark.parametrize(
    ("table", "pattern", "field", "short"),
    [
        (ENCODERS, "(0_Transformer/)?config.json", "hidden_act", str),
        (
            DENSE,
            "[0-9]_Dense/config.json",
            "activation_function",
            lambda name: name.removeprefix("torch.nn.modules.").rpartition(".")[2],
        ),
    ],
    ids=["encoder", "Dense"],
)
def test_every_activation_is_in_a_reference_model_and_in_the_readme(
    table: dict[str, object], pattern: str, field: str, short: Callable[[str], str]
) -> None:
    """The official library's vectors show what each name means."""
    found = {short(config[field]) for config in files_of_references(pattern) if config.get(field)}
    assert table.keys() - found == set()
    assert listed_in_readme(table) == set(table)


def test_activations_that_are_refused_on_tokens_exist() -> None:
    """A misspelt name would refuse nothing."""
    assert set(OVER_TEXTS) < DENSE.keys()
    assert listed_in_readme(OVER_TEXTS) == set(OVER_TEXTS)


def test_every_module_type_has_a_reader_a_writer_and_a_row_in_the_readme() -> None:
    """Transformer, StaticEmbedding and Pooling have files of their own; Dropout does nothing."""
    assert {kind.__name__ for kind in WRITERS} == READERS.keys()
    assert set(KNOWN) == {"Transformer", STATIC, "Pooling", "Dropout", *READERS}
    assert set(AFTER) < set(KNOWN)
    assert set(WITHOUT_WEIGHTS) < set(KNOWN)
    rows = set(re.findall(r"^\| (\w+)\b.*\|$", README.partition("### Modules")[2].partition("\n##")[0], re.MULTILINE))
    assert rows - {"module"} == {*READERS, "Dropout"}
    used = {entry["type"].rpartition(".")[2] for listed in files_of_references("modules.json") for entry in listed}
    assert set(KNOWN) <= used


def test_every_refused_type_of_module_and_model_is_in_the_readme() -> None:
    """None of them is a known module."""
    assert not OTHERS.keys() & set(KNOWN)
    assert listed_in_readme(OTHERS) == set(OTHERS)
    assert listed_in_readme(OTHER_KINDS) == set(OTHER_KINDS)


def test_every_input_and_place_of_an_onnx_file_is_in_the_readme() -> None:
    """A name that ends in a dot stands for all that begin with it."""
    assert [name for name in INPUTS if f"`{name}{'*' if name.endswith('.') else ''}`" not in README] == []
    assert [name for name in NAMES if f"`{name}`" not in README] == ["onnx/model_O2.onnx", "onnx/model_O3.onnx"]


def test_every_class_of_tokenizer_is_known_everywhere() -> None:
    """A class that is made from vocab.txt is also rebuilt from its arguments, and in the README."""
    assert CLASSES.keys() <= OVERRIDES.keys()
    assert set(CLASSES_OF_FAMILIES.values()) == OVERRIDES.keys()
    assert listed_in_readme(CLASSES) == set(CLASSES)


def test_every_precision_has_a_writer_and_a_row_in_the_readme() -> None:
    """The bounds in the README are those of the table."""
    assert PRECISION_WRITERS.keys() == PRECISIONS.keys()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+ / [\d.]+) \|", README, re.MULTILINE))
    assert {name: tuple(map(float, bounds.split(" / "))) for name, bounds in rows.items()} == {
        name: traits.written for name, traits in PRECISIONS.items()
    }


def test_the_readme_names_every_value_of_normalize() -> None:
    """Any other value is refused by the command line."""
    documented = next(line for line in README.splitlines() if line.startswith("| `NORMALIZE` |"))
    assert {value for value in BOOLEANS if f"`{value}`" in documented} == set(BOOLEANS)


def test_the_map_of_the_builder_has_every_module_and_no_other() -> None:
    """The docstring of layers/model is where a new contributor starts."""
    modules = {path.name for path in FOLDER.glob("*.py") if not path.name.startswith("__")}
    assert set(re.findall(r"^(\w+\.py) ", str(model.__doc__), re.MULTILINE)) == modules
