"""Every unknown field of every configuration file is refused, because it could change a vector."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from handler.embedding.manifest import TOKENIZER
from layers.model import known_fields, tokenizer
from layers.model.architectures import ARCHITECTURES
from layers.model.configuration import Unsupported
from layers.model.families.jina import JINA
from layers.model.families.nomic import NOMIC_OF_OWN_CODE
from layers.model.known_fields import ARGUMENTS, Fields
from layers.model.specification import Specification
from tests.layers.model import tiny_bert
from tests.layers.model.commands import make, refused

MODULES = [
    {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"path": "3_Dropout", "type": "sentence_transformers.models.Dropout"},
    {"path": "4_LayerNorm", "type": "sentence_transformers.models.LayerNorm"},
    {"path": "5_Normalize", "type": "sentence_transformers.models.Normalize"},
]
WORD_WEIGHTS = {"path": "6_WordWeights", "type": "sentence_transformers.models.WordWeights"}
"""It stands before Pooling."""
FILES: Mapping[str, Fields] = {
    "modules.json": known_fields.MODULES,
    "config.json": known_fields.ENCODER,
    "sentence_bert_config.json": known_fields.TRANSFORMER,
    "config_sentence_transformers.json": known_fields.SENTENCE_TRANSFORMERS,
    "tokenizer_config.json": known_fields.TOKENIZER,
    "special_tokens_map.json": known_fields.TOKENIZER,
    "1_Pooling/config.json": known_fields.POOLING,
    "2_Dense/config.json": known_fields.DENSE,
    "3_Dropout/config.json": known_fields.DROPOUT,
    "4_LayerNorm/config.json": known_fields.LAYER_NORM,
    "5_Normalize/config.json": known_fields.NORMALIZE,
    "6_WordWeights/config.json": known_fields.WORD_WEIGHTS,
}
SAVED = json.loads(Path(__file__).with_name("saved_fields.json").read_text(encoding="utf-8"))
"""The fields that Sentence Transformers 5.7 and 6.2 (transformers 4.57 and 5.24) save, and those of repositories in use."""

VARIANTS = {"nomic_bert with n_embd": NOMIC_OF_OWN_CODE, "bert with alibi": JINA}
"""Rows of a model_type that has another row, too."""


def set_fields(folder: Path, name: str, **values: Any) -> None:  # noqa: ANN401 - any JSON
    """Set fields of a JSON file. If it is a list of objects, set fields of the first one."""
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    (content[0] if isinstance(content, list) else content).update(values)
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a model with every configuration file."""
    made = tiny_bert.write(tmp_path / "tiny", modules=MODULES)
    listed = json.loads((made / "modules.json").read_text())
    (made / "modules.json").write_text(json.dumps([listed[0], WORD_WEIGHTS, *listed[1:]]))
    contents: Mapping[str, Any] = {
        "2_Dense": {"in_features": tiny_bert.HIDDEN, "out_features": 8},
        "3_Dropout": {},
        "4_LayerNorm": {"dimension": 8},
        "5_Normalize": {},
        "6_WordWeights": {"vocab": tiny_bert.VOCABULARY, "word_weights": {"a": 0.5}},
    }
    for place, content in contents.items():
        (made / place).mkdir()
        (made / place / "config.json").write_text(json.dumps(content))
    return made


def read(folder: Path) -> tuple[Specification, bytes]:
    """Return everything that decides vectors: the specification without the tokenizer's file, and the written tokenizer."""
    out = folder.parent / "out"
    out.mkdir(exist_ok=True)
    specification = Specification.read(folder)
    tokenizer.write(specification, out, lambda _: None)
    return replace(specification, tokenizer=None), (out / TOKENIZER).read_bytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1, 0, False, "", [], {"a": 1}], ids=repr)
@pytest.mark.parametrize("name", FILES)
def test_a_field_that_nobody_knows_is_refused_by_its_name(name: str, value: object, folder: Path) -> None:
    """Its value does not matter, because nobody knows what the field does."""
    set_fields(folder, name, a_new_field=value)
    with pytest.raises(Unsupported, match=r"says a_new_field is .*; this builder does not know what that does to a vector"):
        read(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_field_that_is_null_counts_as_absent(name: str, folder: Path) -> None:
    """The libraries write null for a field that was not set."""
    expected = read(folder)
    set_fields(folder, name, a_new_field=None)
    assert read(folder) == expected


@pytest.mark.parametrize("arguments", [*ARGUMENTS, *ARGUMENTS.values()])
def test_an_argument_that_nobody_knows_is_refused_by_its_name(arguments: str, folder: Path) -> None:
    """sentence_bert_config.json has arguments for the model, its configuration and its tokenizer, under old and new names."""
    set_fields(folder, "sentence_bert_config.json", **{arguments: {"a_new_field": 1}})
    with pytest.raises(Unsupported, match="says a_new_field is 1"):
        read(folder)
    set_fields(folder, "sentence_bert_config.json", **{arguments: [1]})
    with pytest.raises(Unsupported, match=rf"says {arguments} is \[1\]; it must be an object"):
        read(folder)


def _harmless() -> Iterator[tuple[str, str]]:
    for name, fields in FILES.items():
        yield from ((name, field) for fields_of_a_kind in fields.harmless.values() for field in fields_of_a_kind)


@pytest.mark.parametrize(("name", "field"), list(_harmless()))
def test_a_harmless_field_changes_nothing_that_is_built(name: str, field: str, folder: Path) -> None:
    """The network, its limits, its modules and its tokenizer stay the same."""
    expected = read(folder)
    set_fields(folder, name, **{field: {"any": 1}})
    assert read(folder) == expected


def _only() -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    for name, fields in FILES.items():
        yield from ((name, field, values) for field, values in fields.only.items())


@pytest.mark.parametrize(("name", "field", "values"), list(_only()))
def test_a_field_of_few_values_is_refused_with_any_other(name: str, field: str, values: tuple[Any, ...], folder: Path) -> None:
    """With these values it changes nothing."""
    expected = read(folder)
    for value in values:
        set_fields(folder, name, **{field: value})
        assert read(folder) == expected
    set_fields(folder, name, **{field: "another"})
    with pytest.raises(Unsupported, match=f"says {field} is 'another'"):
        read(folder)


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in SAVED.items() for kind in kinds])
def test_the_fields_that_libraries_save_are_all_known(name: str, kind: str) -> None:
    """They come from the families that are written from weights, and from the tokenizers of all families in use."""
    fields = FILES[name]
    if name == "config.json":
        fields = (VARIANTS.get(kind) or ARCHITECTURES[kind]).known()
    assert [field for field in SAVED[name][kind] if not fields.known(field)] == []


SPOILT_MODULES: dict[str, tuple[str, dict[str, Any], str]] = {
    "softmax over texts": (
        "2_Dense",
        {"activation_function": "torch.nn.modules.activation.Softmax", "module_input_name": "token_embeddings"},
        "activation_function is 'torch.nn.modules.activation.Softmax'; of tokens torch computes it over the texts of a batch",
    ),
    "function of another library": ("2_Dense", {"activation_function": "my.SiLU"}, "this builder knows torch.nn's Identity, Tanh"),
    "another output": ("2_Dense", {"module_output_name": "head"}, "module_output_name is 'head'; this builder knows sentence_emb"),
    "tokens after the pool": (
        "5_Normalize",
        {"module_input_name": "token_embeddings"},
        "this builder knows Transformer, then those",
    ),
    "text before the pool": (
        "4_LayerNorm",
        {"dimension": 9},
        "4_LayerNorm/config.json takes vectors of dimension 9, but the module",
    ),
    "too few words": ("6_WordWeights", {"vocab": ["a"]}, "token ids up to 88, but WordWeights has weights for 1 tokens"),
    "no words": ("6_WordWeights", {"vocab": "abc"}, "vocab is 'abc'; it must be a list of the tokenizer's tokens"),
    "no weight": ("6_WordWeights", {"word_weights": {"a": "b"}}, "word_weights says a is 'b'; it must be a number"),
    "no default": ("6_WordWeights", {"unknown_word_weight": "b"}, "unknown_word_weight is 'b'; it must be a number"),
}


@pytest.mark.parametrize("name", SPOILT_MODULES)
def test_a_module_that_computes_what_is_not_done_here_is_refused(name: str, folder: Path) -> None:
    """The sentence names the module's file and its field."""
    place, values, expected = SPOILT_MODULES[name]
    set_fields(folder, f"{place}/config.json", **values)
    with pytest.raises(Unsupported) as caught:
        read(folder)
    assert expected in str(caught.value)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "adapter": (
        lambda folder: (folder / "adapter_config.json").write_text("{}"),
        "adapter_config.json is in {folder}: an adapter's",
    ),
    "truncation": (
        lambda folder: set_fields(folder, "tokenizer_config.json", truncation_side="left"),
        "truncation_side is 'left'; this builder knows right",
    ),
    "another class's token": (
        lambda folder: set_fields(folder, "tokenizer_config.json", tokenizer_class="BertTokenizer", sep_token="a"),  # noqa: S106
        "sep_token is 'a'; tokenizer.json puts [CLS] and [SEP] around a text",
    ),
    "unknown token": (
        lambda folder: set_fields(folder, "tokenizer_config.json", tokenizer_class="BertTokenizer", unk_token="a"),  # noqa: S106
        "unk_token is 'a'; tokenizer.json has [UNK]",
    ),
    "no token": (
        lambda folder: set_fields(folder, "tokenizer_config.json", mask_token=5),
        "mask_token is 5; it must name a token",
    ),
    "end": (
        lambda folder: set_fields(folder, "tokenizer_config.json", add_eos_token=True, eos_token="z"),  # noqa: S106 - no password
        "eos_token is 'z'; tokenizer.json puts [CLS] and [SEP] around a text",
    ),
    "another model's tokenizer": (
        lambda folder: set_fields(folder, "config.json", vocab_size=30_522),
        "tokenizer.json has 89 tokens, config.json says vocab_size 30522: it is another model's",
    ),
    "no dimension": (
        lambda folder: set_fields(folder, "config_sentence_transformers.json", truncate_dim=0),
        "truncate_dim is 0; it must be a whole number from 1 to",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_known_and_not_done_is_refused(name: str, folder: Path) -> None:
    """The sentence says what the builder does instead."""
    spoil, expected = REFUSED[name]
    spoil(folder)
    with pytest.raises(Unsupported) as caught:
        read(folder)
    assert expected.replace("{folder}", str(folder)) in str(caught.value)


def test_a_tokenizer_that_knows_no_words_is_refused(tmp_path: Path) -> None:
    """Sentence Transformers 6 makes such a tokenizer if a file names BERT's class for XLM-RoBERTa's tokens."""
    model = tiny_bert.write(tmp_path / "tiny")
    content = json.loads((model / "tokenizer.json").read_text())
    letters = {token: place for token, place in content["model"]["vocab"].items() if not token.isalpha()}
    content["model"]["vocab"] = letters | {
        f"?{place}": place for place in range(len(tiny_bert.VOCABULARY)) if place not in letters.values()
    }
    (model / "tokenizer.json").write_text(json.dumps(content))
    assert "tokenizer.json knows too few words: " in refused(model, tmp_path / "model")


def test_added_tokens_beyond_the_model_are_left_out_and_said(tmp_path: Path) -> None:
    """Only a text that contains such a token differs, and the model would fail on that text."""
    model = tiny_bert.write(tmp_path / "tiny", tokenizer_config={"additional_special_tokens": ["<image>"]})
    said: list[str] = []
    (tmp_path / "out").mkdir()
    tokenizer.write(Specification.read(model), tmp_path / "out", said.append)
    assert said == [
        "Leaving out the tokens ['<image>'], which the model has no rows for: where a text spells them, they are plain text"
    ]
    make(model, tmp_path / "model")
    made = Tokenizer.from_file(str(tmp_path / "model/tokenizer.json"))
    assert max(made.encode("an <image>").ids) < len(tiny_bert.VOCABULARY)
