"""Tiny random models in the official format, and the vectors that the official library computes with them.

Run by hand, in an environment with sentence-transformers, transformers, torch and onnx (6.2.0, 5.23.0 or 5.24.0, 2.13.0 or 2.15.0,
and 1.23 made what is committed):

    python tests/layers/model/oracle.py tests/layers/model/references

Writes one JSON file a case: the model's JSON files as saved, the names and shapes of its tensors (their values are recipe.py's),
and for each text the vector that `SentenceTransformer.encode` gives in float32. test_references.py holds ours against them.
"""

import base64
import io
import json
import shutil
import string
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import transformers
from recipe import tensor
from safetensors import safe_open
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as modules
from tokenizers import pre_tokenizers

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 64
LIMIT = 24

LETTERS = [*string.ascii_letters, *"éß한국🦜", *string.digits, *string.punctuation]
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
"""Short, unicode, empty-ish, holding special tokens, and over-long."""

Folder = Path
Change = Callable[[Folder], object]
Steps = Callable[[Any], list[Any]]


@dataclass(frozen=True)
class Case:
    """One model: its network, the modules after it, and what is changed in the folder once it is saved.

    `longest` is the limit where the library has none that works.
    """

    network: Callable[[], tuple[Any, Any]]
    pooling: dict[str, Any] = field(default_factory=lambda: {"pooling_mode": "mean"})
    dense: tuple[dict[str, Any], ...] = ()
    normalize: bool = False
    prompts: dict[str, Any] = field(default_factory=dict)
    limit: int | None = LIMIT
    longest: int | None = None
    change: Change = lambda _: None
    exported: bool = False
    steps: Steps = lambda pooling: [pooling]
    """The modules after the Transformer, in place of Pooling and Dense modules."""
    texts: tuple[str, ...] = TEXTS
    afterwards: Change = lambda _: None
    """What is changed once the vectors are computed: where the library's last two major versions disagree."""


# --- Networks and their tokenizers ------------------------------------------------------------------------


def wordpieces(*special: str) -> dict[str, int]:
    """A vocabulary of letters, within and at the start of a word."""
    tokens = [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return {token: place for place, token in enumerate(dict.fromkeys(tokens))}


def bert(**config: Any) -> tuple[Any, Any]:
    tokenizer = transformers.BertTokenizer(vocab=wordpieces("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), do_lower_case=False)
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=POSITIONS, **sizes, **config)
    return transformers.BertModel(made), tokenizer


def distilbert(**config: Any) -> tuple[Any, Any]:
    tokenizer = transformers.BertTokenizer(vocab=wordpieces("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), do_lower_case=True)
    sizes = {"dim": HIDDEN, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": INNER}
    made = transformers.DistilBertConfig(vocab_size=len(tokenizer), max_position_embeddings=POSITIONS, **sizes, **config)
    return transformers.DistilBertModel(made), tokenizer


def mpnet(positions: int = POSITIONS) -> tuple[Any, Any]:
    tokenizer = transformers.MPNetTokenizer(vocab=wordpieces("<s>", "<pad>", "</s>", "[UNK]", "<mask>"), do_lower_case=True)
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.MPNetConfig(vocab_size=len(tokenizer), max_position_embeddings=positions, **sizes)
    return transformers.MPNetModel(made), tokenizer


def roberta(kind: str = "Roberta") -> tuple[Any, Any]:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "on", "Ġa", "<mask>"]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = transformers.RobertaTokenizer(vocab=vocabulary, merges=[("o", "n"), ("Ġ", "a")])
    return _roberta_like(kind, len(tokenizer)), tokenizer


def xlm_roberta(kind: str = "XLMRoberta") -> tuple[Any, Any]:
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces = [
        *special,
        ("▁", -2.0),
        *((f"▁{letter}", -3.0) for letter in string.ascii_letters),
        *((letter, -4.0) for letter in LETTERS),
    ]
    tokenizer = transformers.XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)])
    return _roberta_like(kind, len(tokenizer)), tokenizer


def _roberta_like(kind: str, vocabulary: int) -> Any:
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=vocabulary, max_position_embeddings=POSITIONS, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, **sizes
    )
    return getattr(transformers, f"{kind}Model")(config)


def weights_of_words() -> Any:
    """A WordWeights module for the tokens of BERT. Its weights are filled in as all others are, which the library does not load."""
    tokens = list(wordpieces("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))
    return modules.WordWeights(
        tokens, {token: 0.25 + place / 100 for place, token in enumerate(tokens[:60:2])}, unknown_word_weight=0.5
    )


def albert() -> tuple[Any, Any]:
    """Not written by our builder: stands for all that come with an ONNX file of their own."""
    _, tokenizer = bert()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.AlbertConfig(vocab_size=len(tokenizer), embedding_size=16, max_position_embeddings=POSITIONS, **sizes)
    return transformers.AlbertModel(made, add_pooling_layer=False), tokenizer


def qwen() -> tuple[Any, Any]:
    """A decoder: causal attention, rotary positions, the last token's vector."""
    _, tokenizer = bert()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.Qwen3Config(
        vocab_size=len(tokenizer), num_key_value_heads=2, head_dim=8, max_position_embeddings=POSITIONS, use_cache=False, **sizes
    )
    made._attn_implementation = "eager"
    return transformers.Qwen3Model(made), tokenizer


# --- Changes to a saved folder ----------------------------------------------------------------------------


def fields(name: str, **values: Any) -> Change:
    """Set fields of a JSON file; None takes one out."""

    def change(folder: Folder) -> None:
        path = folder / name
        content = json.loads(path.read_text()) | values
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change


def older_pooling(**flags: bool) -> Change:
    """The Pooling module's file as the library wrote it before 5.4."""
    names = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    content = {"word_embedding_dimension": HIDDEN} | {f"pooling_mode_{name}": flags.get(name, False) for name in names}
    return lambda folder: (folder / "1_Pooling/config.json").write_text(json.dumps(content))


def older_modules(folder: Folder) -> None:
    """modules.json and the Transformer's files as the library wrote them before 5.4: in a folder of their own."""
    path = folder / "modules.json"
    listed = json.loads(path.read_text())
    for module in listed:
        module["type"] = f"sentence_transformers.models.{module['type'].rpartition('.')[2]}"
    listed[0]["path"] = "0_Transformer"
    path.write_text(json.dumps(listed))
    place = folder / "0_Transformer"
    place.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        shutil.move(folder / name, place / name)
    (folder / "sentence_bert_config.json").unlink()
    (place / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LIMIT, "do_lower_case": False}))


def lowercase(folder: Folder) -> None:
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LIMIT, "do_lower_case": True}))


def bert_of_unigrams() -> tuple[Any, Any]:
    """BERT's network with XLM-RoBERTa's tokenizer, as paraphrase-multilingual-MiniLM-L12-v2 has them."""
    _, tokenizer = xlm_roberta()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.BertConfig(vocab_size=len(tokenizer) + 3, max_position_embeddings=POSITIONS, **sizes)
    return transformers.BertModel(made), tokenizer


def padded_bert() -> tuple[Any, Any]:
    """BERT with rows that none of its tokens has, as vocabularies are rounded up."""
    _, tokenizer = bert()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
    made = transformers.BertConfig(vocab_size=len(tokenizer) + 8, max_position_embeddings=POSITIONS, **sizes)
    return transformers.BertModel(made), tokenizer


def roberta_of_word_pieces() -> tuple[Any, Any]:
    """RoBERTa's network with BERT's tokenizer, as ko-sroberta-multitask has them."""
    tokenizer = transformers.BertTokenizer(vocab=wordpieces("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"), do_lower_case=False)
    return _roberta_like("Roberta", len(tokenizer)), tokenizer


def with_dropout(folder: Folder) -> None:
    """A Dropout module after Pooling."""
    path = folder / "modules.json"
    listed = json.loads(path.read_text())
    listed.insert(2, {"idx": 2, "name": "2", "path": "2_Dropout", "type": "sentence_transformers.models.Dropout"})
    path.write_text(json.dumps(listed))
    (folder / "2_Dropout").mkdir()
    (folder / "2_Dropout/config.json").write_text(json.dumps({"dropout": 0.2}))


def more_tokens(folder: Folder) -> None:
    """Tokens that only tokenizer_config.json and the older special_tokens_map.json name, one of them within the vocabulary."""
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text())
    content.pop("added_tokens_decoder", None)
    path.write_text(json.dumps(content | {"additional_special_tokens": ["lo", "z"]}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": "M"}))


def in_bfloat16(folder: Folder) -> None:
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)


def in_shards(folder: Folder) -> None:
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")


def in_a_pickle(folder: Folder) -> None:
    """One file as torch writes it today: two names of older checkpoints, a tensor of float64, a view, and one nobody needs."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tensors["embeddings.LayerNorm.gamma"] = tensors.pop("embeddings.LayerNorm.weight").double()
    tensors["embeddings.LayerNorm.beta"] = tensors.pop("embeddings.LayerNorm.bias").half().float()
    name = "encoder.layer.0.output.dense.weight"
    tensors[name] = tensors[name].T.contiguous().T
    tensors["embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    torch.save(tensors, folder / "pytorch_model.bin")


def in_older_pickles(folder: Folder) -> None:
    """Two files in torch's format before 1.6, and an index; the Dense module's likewise."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {"pytorch_model-00001-of-00002.bin": list(tensors)[::2], "pytorch_model-00002-of-00002.bin": list(tensors)[1::2]}
    for file, names in files.items():
        chosen = {name: tensors[name] for name in names}
        torch.save(chosen, folder / file, _use_new_zipfile_serialization=False)
    places = {name: file for file, names in files.items() for name in names}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    dense = folder / "2_Dense"
    torch.save(load_file(dense / "model.safetensors"), dense / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (dense / "model.safetensors").unlink()


def without_list(folder: Folder) -> None:
    """Leave out modules.json; what the other files say of modules is not read then."""
    (folder / "modules.json").unlink()
    shutil.rmtree(folder / "1_Pooling")
    fields("sentence_bert_config.json", max_seq_length=5, do_lower_case=True)(folder)
    fields("config_sentence_transformers.json", prompts={"query": "query: "}, default_prompt_name="query")(folder)


def vocabulary(**configuration: Any) -> Change:
    """Leave vocab.txt in place of tokenizer.json, and these fields in tokenizer_config.json."""

    def change(folder: Folder) -> None:
        tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in sorted(tokens, key=tokens.get)), encoding="utf-8")
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LIMIT, **configuration}))

    return change


def text_alone(folder: Folder) -> None:
    """An ONNX file of the whole model that gives a text's vector alone."""
    model = SentenceTransformer(str(folder), device="cpu")
    names = ["input_ids", "attention_mask", "token_type_ids"]

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            return self.model(dict(zip(names, values, strict=True)))["sentence_embedding"]

    write_onnx(Whole(), folder / "onnx/model.onnx", names, "sentence_embedding", 14)


def with_constants_in_files(folder: Folder) -> None:
    """Raise nothing and keep each large tensor in a file of its own, as torch's exports of opset 11 do."""
    path = folder / "onnx/model.onnx"
    model = onnx.load(path)
    path.unlink()
    for number, node in enumerate(model.graph.node):
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.name = f"Constant_{number}_attr__value"
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=64, convert_attribute=True)


def with_a_head(folder: Folder) -> None:
    """Saved from a model for masked words: the encoder's names begin with the family's."""
    model = transformers.BertForMaskedLM.from_pretrained(folder)
    model.save_pretrained(folder)


ALL_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
PROMPTS = {"prompts": {"query": "query: ", "document": "Represent this, please: "}, "default_prompt_name": "document"}

FEW = (TEXTS[2], TEXTS[3], TEXTS[-1])
ENCODER_ACTIVATIONS = (
    *("gelu_new", "gelu_fast", "gelu_accurate", "gelu_python", "gelu_pytorch_tanh", "gelu_python_tanh", "quick_gelu"),
    *("relu", "relu6", "leaky_relu", "silu", "swish", "hardswish", "mish", "tanh", "sigmoid", "linear"),
)
DENSE_ACTIVATIONS = (
    *("ReLU", "Sigmoid", "SiLU", "LeakyReLU", "Softmax", "ELU", "SELU", "CELU", "Softplus", "Softsign", "Softmin", "LogSoftmax"),
    *("LogSigmoid", "Hardtanh", "Hardsigmoid", "Hardswish", "ReLU6", "Mish", "Tanhshrink", "Hardshrink", "Softshrink"),
)

CASES: dict[str, Case] = {
    "bert": Case(bert, normalize=True),
    "distilbert": Case(distilbert, normalize=True),
    "mpnet": Case(mpnet, normalize=True),
    "mpnet-far": Case(lambda: mpnet(300), limit=256),
    "roberta": Case(roberta, normalize=True),
    # Without a limit the library runs out of positions, which begin after the padding token's id.
    "roberta-unlimited": Case(roberta, limit=None, longest=POSITIONS - 2),
    "xlm-roberta": Case(xlm_roberta, normalize=True),
    "camembert": Case(lambda: xlm_roberta("Camembert"), normalize=True),
    **{f"pooling-{mode}": Case(bert, pooling={"pooling_mode": mode}) for mode in ALL_MODES if mode != "mean"},
    "pooling-all": Case(bert, pooling={"pooling_mode": ALL_MODES}),
    "older-pooling": Case(bert, change=older_pooling(cls_token=True, max_tokens=True, lasttoken=True)),
    "older-modules": Case(bert, change=older_modules),
    "dense": Case(
        bert,
        dense=(
            {"in_features": HIDDEN, "out_features": 48},
            {"in_features": 48, "out_features": 16, "bias": False, "activation_function": torch.nn.Identity()},
            {"in_features": 16, "out_features": 24, "activation_function": torch.nn.GELU()},
        ),
        normalize=True,
    ),
    "prompts": Case(bert, prompts=PROMPTS),
    "without-prompt": Case(bert, pooling={"pooling_mode": ALL_MODES, "include_prompt": False}, prompts=PROMPTS),
    "without-prompt-dense": Case(
        roberta,
        pooling={"pooling_mode": "mean", "include_prompt": False},
        dense=({"in_features": HIDDEN, "out_features": 16},),
        prompts=PROMPTS,
    ),
    "lowercase": Case(bert, change=lowercase),
    "lowercase-tokenizer": Case(bert, change=fields("tokenizer_config.json", do_lower_case=True)),
    "lowercase-default": Case(bert, change=fields("tokenizer_config.json", do_lower_case=None)),
    "accents": Case(bert, change=fields("tokenizer_config.json", strip_accents=True, tokenize_chinese_chars=False)),
    "prefix-space": Case(roberta, change=fields("tokenizer_config.json", add_prefix_space=True)),
    "no-limit": Case(bert, limit=None, change=fields("tokenizer_config.json", model_max_length=None)),
    "bfloat16": Case(bert, change=in_bfloat16),
    "shards": Case(bert, change=in_shards),
    "head": Case(bert, change=with_a_head),
    "pickle": Case(bert, change=in_a_pickle),
    "pickle-shards": Case(bert, dense=({"in_features": HIDDEN, "out_features": 16},), change=in_older_pickles),
    "config-arguments": Case(
        bert,
        change=fields("sentence_bert_config.json", config_args={"num_hidden_layers": 1, "layer_norm_eps": 0.5, "use_cache": True}),
    ),
    "config-keywords": Case(mpnet, change=fields("sentence_bert_config.json", config_kwargs={"layer_norm_eps": 0.5})),
    "tokenizer-arguments": Case(
        bert,
        limit=None,
        change=fields(
            "sentence_bert_config.json",
            max_seq_length=20,
            tokenizer_args={"model_max_length": 12, "do_lower_case": True, "strip_accents": False, "padding_side": "left"},
        ),
    ),
    "tokenizer-keywords": Case(roberta, change=fields("sentence_bert_config.json", processor_kwargs={"add_prefix_space": True})),
    "model-arguments": Case(
        bert, change=fields("sentence_bert_config.json", model_args={"torch_dtype": "float16", "attn_implementation": "eager"})
    ),
    "tokenizer-class": Case(
        roberta_of_word_pieces,
        change=lambda folder: (
            fields("tokenizer_config.json", tokenizer_class=None, do_lower_case=True)(folder),
            fields("config.json", tokenizer_class="BertTokenizer")(folder),
        ),
    ),
    "tokens": Case(padded_bert, change=more_tokens),
    "truncated": Case(bert, change=fields("config_sentence_transformers.json", truncate_dim=12)),
    "truncated-dense": Case(
        bert,
        dense=({"in_features": HIDDEN, "out_features": 16},),
        change=fields("config_sentence_transformers.json", truncate_dim=5),
    ),
    "dropout": Case(bert, change=with_dropout),
    "unigram-bert": Case(
        bert_of_unigrams, normalize=True, afterwards=fields("tokenizer_config.json", tokenizer_class="BertTokenizer")
    ),
    "unigram-bert-unnamed": Case(
        bert_of_unigrams, normalize=True, afterwards=fields("tokenizer_config.json", tokenizer_class=None)
    ),
    **{f"activation-{name}": Case(lambda name=name: bert(hidden_act=name), texts=FEW) for name in ENCODER_ACTIVATIONS},
    "activation-distilbert": Case(lambda: distilbert(activation="relu"), texts=FEW),
    **{
        f"dense-{name}": Case(
            bert, dense=({"in_features": HIDDEN, "out_features": 16, "activation_function": getattr(torch.nn, name)()},), texts=FEW
        )
        for name in DENSE_ACTIVATIONS
    },
    "dense-residual": Case(
        bert,
        dense=(
            {"in_features": HIDDEN, "out_features": HIDDEN, "use_residual": True},
            {"in_features": HIDDEN, "out_features": 16, "use_residual": True, "bias": False},
        ),
        texts=FEW,
    ),
    "dense-of-tokens": Case(
        bert,
        steps=lambda _: [
            modules.Dense(HIDDEN, 24, activation_function=torch.nn.SiLU(), module_input_name="token_embeddings"),
            modules.Normalize(module_input_name="token_embeddings"),
            modules.Pooling(24, pooling_mode=ALL_MODES),
        ],
    ),
    "normalize-before-dense": Case(
        bert, steps=lambda pooling: [pooling, modules.Normalize(), modules.Dense(HIDDEN, 16), modules.Normalize()], normalize=True
    ),
    "layer-norm": Case(
        bert,
        steps=lambda pooling: [
            pooling,
            modules.LayerNorm(HIDDEN),
            modules.Normalize(),
            modules.Dropout(),
            modules.LayerNorm(HIDDEN),
        ],
    ),
    "word-weights": Case(bert, steps=lambda _: [weights_of_words(), modules.Pooling(HIDDEN, ALL_MODES)]),
    "word-weights-without-prompt": Case(
        bert, steps=lambda _: [weights_of_words(), modules.Pooling(HIDDEN, ALL_MODES, include_prompt=False)], prompts=PROMPTS
    ),
    "unlisted": Case(bert, change=without_list),
    "unlisted-distilbert": Case(distilbert, change=without_list, texts=FEW),
    "vocabulary": Case(bert, change=vocabulary(tokenizer_class="BertTokenizer")),
    "vocabulary-cased": Case(
        bert,
        change=vocabulary(
            tokenizer_class="BertTokenizer",
            do_lower_case=False,
            strip_accents=True,
            tokenize_chinese_chars=False,
            never_split=["sunny"],
            mask_token="M",  # noqa: S106
            additional_special_tokens=["z"],
        ),
    ),
    "vocabulary-unnamed": Case(distilbert, change=vocabulary(), texts=FEW),
    "vocabulary-mpnet": Case(mpnet, change=vocabulary(tokenizer_class="MPNetTokenizer", mask_token="<mask>")),  # noqa: S106
    "sentence-onnx": Case(
        albert, dense=({"in_features": HIDDEN, "out_features": 16},), change=text_alone, normalize=True, texts=FEW
    ),
    "constants-onnx": Case(albert, exported=True, afterwards=with_constants_in_files, texts=FEW),
    "albert-onnx": Case(albert, exported=True, normalize=True),
    "qwen-onnx": Case(qwen, pooling={"pooling_mode": "lasttoken"}, exported=True, prompts=PROMPTS),
}


# --- Building, asking and writing down --------------------------------------------------------------------


def build(case: Case, folder: Folder) -> None:
    """Save the case's model with the official library, its weights the recipe's."""
    network, tokenizer = case.network()
    fill(network.eval())
    with tempfile.TemporaryDirectory() as plain:
        network.save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        transformer = modules.Transformer(plain, max_seq_length=case.limit) if case.limit else modules.Transformer(plain)
    steps = [transformer, modules.Pooling(HIDDEN, **case.pooling)]
    steps = [transformer, *case.steps(steps[1]), *(modules.Dense(**options) for options in case.dense)]
    for step in steps[1:]:
        fill(step)
    if case.normalize:
        steps.append(modules.Normalize())
    SentenceTransformer(modules=steps, device="cpu", **case.prompts).save(str(folder), create_model_card=False)
    case.change(folder)
    if case.exported:
        export(network, folder / "onnx/model.onnx")


def fill(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(tensor(name, parameter.shape)))
            parameter.requires_grad = False  # what is exported must be constant


def export(network: torch.nn.Module, path: Path) -> None:
    """The network's own ONNX file, as exporters write it: every input named, batch and length free."""
    opset = 18 if "Qwen" in type(network).__name__ else 14  # of today's exporters and of those of 2022
    names = ["input_ids", "attention_mask", "position_ids" if "Qwen" in type(network).__name__ else "token_type_ids"]

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            return self.network(**dict(zip(names, values, strict=True))).last_hidden_state

    write_onnx(Named(), path, names, "last_hidden_state", opset)


def write_onnx(network: torch.nn.Module, path: Path, names: list[str], output: str, opset: int) -> None:
    """Write a network with these inputs and one output, batch and length free."""
    path.parent.mkdir(exist_ok=True)
    example = torch.ones((1, 5), dtype=torch.int64)
    example = tuple(torch.arange(5)[None] if name == "position_ids" else example for name in names)
    free = {name: {0: "batch", 1: "tokens"} for name in [*names, output]}
    content = io.BytesIO()
    torch.onnx.export(
        network.eval(),
        example,
        content,
        input_names=names,
        output_names=[output],
        dynamic_axes=free,
        opset_version=opset,
        dynamo=False,
    )
    path.write_bytes(content.getvalue())


def rows(case: Case, model: SentenceTransformer) -> Iterator[dict[str, Any]]:
    """Each text's vector, under each prompt, cut on each side."""
    for side in ("right", "left"):
        model.tokenizer.truncation_side = side
        for text in case.texts:
            if side == "left" and len(text) < LIMIT:
                continue
            for prompt_name in (None, *case.prompts.get("prompts", {})):
                vector = model.encode(text, prompt_name=prompt_name, show_progress_bar=False)
                yield {
                    "text": text,
                    "prompt_name": prompt_name,
                    "side": side,
                    "vector": [float(f"{value:.7g}") for value in vector.astype(np.float64)],
                }


def described(folder: Folder) -> dict[str, Any]:
    """The folder's files: JSON as it is, tensors by name, shape and type, ONNX files and pickles compressed."""
    files: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            files[name] = json.loads(path.read_text())
        elif path.suffix == ".safetensors" and not (path.parent / "onnx").exists():
            with safe_open(path, "pt") as content:
                slices = {key: content.get_slice(key) for key in content.keys()}  # noqa: SIM118 - no mapping: only its keys can be asked for
                files[name] = {key: [piece.get_dtype(), piece.get_shape()] for key, piece in slices.items()}
        elif path.name == "vocab.txt":
            files[name] = path.read_text(encoding="utf-8")
        elif path.suffix in {".onnx", ".bin"} or path.parent.name == "onnx":
            files[name] = base64.b64encode(zlib.compress(path.read_bytes(), 9)).decode()
    return files


def main() -> None:
    """Write all cases, or those named after the folder."""
    out, *names = sys.argv[1:]
    for name in names or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "model")
            build(case, folder)
            model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32}).float().eval()
            model.max_seq_length = case.longest or model.max_seq_length
            computed = list(rows(case, model))
            case.afterwards(folder)
            reference = {"normalized": case.normalize, "rows": computed, "files": described(folder)}
        text = json.dumps(reference, ensure_ascii=False)
        Path(out, f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(reference['rows'])} vectors of {len(reference['rows'][0]['vector'])}, {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
