"""Make the reference scores: tiny random cross-encoders, and the scores that the official library computes with them.

Run it by hand from the root, in the environment of the package (__main__.py). sentence-transformers 6.2.0, transformers 5.24.0 and
torch 2.15.0 made the committed files.

    python -m tests.layers.model.oracle.cross_encoders tests/layers/model/rerankers [CASE …]
"""

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder

from tests.layers.model.oracle import changes, families, networks
from tests.layers.model.oracle.__main__ import described
from tests.layers.model.random_weights import tensor

LONG = "long " * 12
"""A text of about 48 tokens, where a pair may have 24."""
PAIRS = (
    ("A sunny day.", "b c"),
    ("a", "Some words: THESE!"),
    ("Ünï 한국", "Ελλάς and a 🦜."),
    (" ", "."),
    ("x", " "),
    ("a [SEP] b </s>", "c <pad> [PAD] <mask>"),
    ("what is long", LONG + "and ends otherwise"),
    (LONG + "and ends otherwise", "is it"),
    (LONG, LONG + "er"),
    (LONG + "est", LONG),
    (LONG, LONG),
    ("ten letter words", "twelve letters"),
    ("ten letter", "words and more of them follow"),
)
"""Pairs that are short, blank or too long on one side or both, by different lengths, with Unicode and special tokens."""


def classifier(base: str, make: Callable[[], tuple[Any, Any]] | None = None) -> Callable[[], tuple[Any, Any]]:
    """Return a function that makes a classifier of one label and its tokenizer, from a network of networks.py."""

    def made() -> tuple[Any, Any]:
        network, tokenizer = (make or getattr(networks, base.lower()))()
        config = network.config
        config.num_labels = 1
        return getattr(transformers, f"{base}ForSequenceClassification")(config), tokenizer

    return made


@dataclass(frozen=True)
class Case:
    """One cross-encoder. `saved` says that CrossEncoder saves it, with `options`; `config` is added to config.json."""

    network: Callable[[], tuple[Any, Any]]
    config: dict[str, Any] = field(default_factory=dict)
    saved: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    tokenizer: dict[str, Any] = field(default_factory=dict)
    limit: int = networks.LIMIT
    change: changes.Change = lambda _: None
    afterwards: changes.Change = lambda _: None
    """A change after the scores were computed, for what the library does not load by itself."""


def refilled_as_new(folder: Path) -> None:
    """Give each tensor the random weights of its name in Alibaba's repositories."""
    _rewritten(folder, lambda name, value: (name, torch.from_numpy(tensor(_in_new(name), value.shape))))


def renamed_as_new(folder: Path) -> None:
    """Save the model as Alibaba's repositories do."""
    _rewritten(folder, lambda name, value: (_in_new(name), value))
    families.as_new()(folder)


def _in_new(name: str) -> str:
    return re.sub(r"^gte\.", "new.", name)


def _rewritten(folder: Path, change: Callable[[str, Any], tuple[str, Any]]) -> None:
    path = folder / "model.safetensors"
    save_file(dict(change(name, value) for name, value in load_file(path).items()), path, metadata={"format": "pt"})


BERT = classifier("Bert")
IDENTITY = "torch.nn.modules.linear.Identity"
PROMPTS = {"prompts": {"query": "query: ", "other": "o: "}, "default_prompt_name": "query"}
CASES = {
    "bert": Case(BERT),
    "bert-even": Case(BERT, limit=networks.LIMIT + 1),
    "bert-identity": Case(BERT, {"sentence_transformers": {"activation_fn": IDENTITY, "version": "4.1.0"}}),
    "bert-older": Case(BERT, {"sbert_ce_default_activation_function": IDENTITY}),
    "bert-saved": Case(BERT, saved=True, options={"activation_fn": torch.nn.Identity(), **PROMPTS}),
    "bert-untyped": Case(BERT, tokenizer={"model_input_names": ["input_ids", "attention_mask"]}),
    "bert-vocabulary": Case(BERT, change=changes.vocabulary(tokenizer_class="BertTokenizer", do_lower_case=False)),
    "distilbert": Case(classifier("DistilBert")),
    "electra": Case(classifier("Electra", lambda: families.electra(24))),
    "gte": Case(classifier("Gte", lambda: families.gte(type_vocab_size=2)), change=changes.refilled),
    "new": Case(
        classifier("Gte", lambda: families.gte(networks.xlm_roberta()[1], type_vocab_size=0)),
        change=refilled_as_new,
        afterwards=renamed_as_new,
    ),
    "modernbert": Case(classifier("ModernBert", lambda: families.modernbert(classifier_pooling="mean"))),
    "modernbert-cls": Case(
        classifier(
            "ModernBert",
            lambda: families.modernbert(
                classifier_pooling="cls", classifier_bias=True, norm_bias=True, classifier_activation="tanh", norm_eps=1e-3
            ),
        )
    ),
    "mpnet": Case(classifier("MPNet", networks.mpnet)),
    "roberta": Case(classifier("Roberta")),
    "xlm-roberta": Case(classifier("XLMRoberta", networks.xlm_roberta)),
    "camembert": Case(classifier("Camembert", lambda: networks.xlm_roberta("Camembert"))),
}


def build(case: Case, folder: Path) -> None:
    """Save the case's model with random weights, as transformers or the official library does."""
    network, tokenizer = case.network()
    with torch.no_grad():
        for name, parameter in network.eval().named_parameters():
            parameter.copy_(torch.from_numpy(tensor(name.removeprefix("bert."), parameter.shape)))
    tokenizer.model_max_length = case.limit
    with tempfile.TemporaryDirectory() as plain:
        place = Path(plain if case.saved else folder)
        network.save_pretrained(place)
        tokenizer.save_pretrained(place)
        _update(place / "config.json", case.config)
        _update(place / "tokenizer_config.json", case.tokenizer)
        if case.saved:
            CrossEncoder(plain, device="cpu", **case.options).save(str(folder))
    case.change(folder)


def _update(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def rows(model: CrossEncoder, limit: int) -> Iterator[dict[str, Any]]:
    """Yield the scores of each pair, with the library's activation and without, truncated on each side."""
    for side in ("right", "left"):
        model.tokenizer.truncation_side = side
        for pair in PAIRS:
            if side == "left" and len("".join(pair)) < limit:
                continue
            score, raw = (model.predict(pair, activation_fn=function) for function in (None, torch.nn.Identity()))
            yield {"query": pair[0], "document": pair[1], "side": side, "score": float(score), "raw": float(raw)}


def main() -> None:
    """Write the named cases, or all, into a folder."""
    folder = Path(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        with tempfile.TemporaryDirectory() as scratch:
            build(CASES[name], Path(scratch))
            model = CrossEncoder(scratch, device="cpu")
            computed = list(rows(model, CASES[name].limit))
            CASES[name].afterwards(Path(scratch))
            content = {"rows": computed, "files": described(Path(scratch))}
        text = json.dumps(content, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(name, len(content["rows"]), model.activation_fn, model.max_seq_length)


if __name__ == "__main__":
    main()
