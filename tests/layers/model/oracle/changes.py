"""Changes to the folder of a saved model: files of older versions of the libraries, other formats of weights, other settings."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.layers.model.oracle.networks import HIDDEN, LIMIT, POSITIONS
from tests.layers.model.random_weights import tensor

Change = Callable[[Path], object]


def fields(name: str, **values: Any) -> Change:
    """Set fields of a JSON file. None removes a field."""

    def change(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text()) | values
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change


def rewritten(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """Replace the content of a JSON file by what `change` makes of it."""

    def write(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return write


def refilled(folder: Path) -> None:
    """Give each tensor the random weights of the name under which it was saved: the library has other names in memory."""
    path = folder / "model.safetensors"
    tensors = {name: torch.from_numpy(tensor(name, value.shape)) for name, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def older_pooling(**flags: bool) -> Change:
    """Write the Pooling module's file as the library did before version 5.4."""
    names = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    content = {"word_embedding_dimension": HIDDEN} | {f"pooling_mode_{name}": flags.get(name, False) for name in names}
    return lambda folder: (folder / "1_Pooling/config.json").write_text(json.dumps(content))


def older_modules(folder: Path) -> None:
    """Write modules.json as the library did before version 5.4, and move the Transformer's files into a folder."""
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


def older_static(folder: Path) -> None:
    """Move a static model's files into a folder, under the name of its module in older versions of the library."""
    (folder / "0_StaticEmbedding").mkdir()
    for path in [path for path in folder.iterdir() if path.name in {"tokenizer.json", "pytorch_model.bin"}]:
        shutil.move(path, folder / "0_StaticEmbedding" / path.name)
    module = {"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": "sentence_transformers.models.StaticEmbedding"}
    (folder / "modules.json").write_text(json.dumps([module]))


def without_modules(folder: Path) -> None:
    (folder / "modules.json").unlink()


def lowercase(folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LIMIT, "do_lower_case": True}))


def with_dropout(folder: Path) -> None:
    """Add a Dropout module after Pooling."""
    path = folder / "modules.json"
    listed = json.loads(path.read_text())
    listed.insert(2, {"idx": 2, "name": "2", "path": "2_Dropout", "type": "sentence_transformers.models.Dropout"})
    path.write_text(json.dumps(listed))
    (folder / "2_Dropout").mkdir()
    (folder / "2_Dropout/config.json").write_text(json.dumps({"dropout": 0.2}))


def more_tokens(folder: Path) -> None:
    """Add tokens that only tokenizer_config.json and special_tokens_map.json name. One of them is in the vocabulary."""
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text())
    content.pop("added_tokens_decoder", None)
    path.write_text(json.dumps(content | {"additional_special_tokens": ["lo", "z"]}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": "M"}))


def in_bfloat16(folder: Path) -> None:
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)


def in_shards(folder: Path) -> None:
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")


def in_a_pickle(folder: Path) -> None:
    """Write one file in torch's current format, with two old names, a float64 tensor, a view, and a tensor that is not needed."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tensors["embeddings.LayerNorm.gamma"] = tensors.pop("embeddings.LayerNorm.weight").double()
    tensors["embeddings.LayerNorm.beta"] = tensors.pop("embeddings.LayerNorm.bias").half().float()
    name = "encoder.layer.0.output.dense.weight"
    tensors[name] = tensors[name].T.contiguous().T
    tensors["embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    torch.save(tensors, folder / "pytorch_model.bin")


def in_older_pickles(folder: Path) -> None:
    """Write two files in torch's format before 1.6, and an index. The Dense module's file has that format, too."""
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


def without_list(folder: Path) -> None:
    """Remove modules.json. The library then ignores what other files say of modules."""
    (folder / "modules.json").unlink()
    shutil.rmtree(folder / "1_Pooling")
    fields("sentence_bert_config.json", max_seq_length=5, do_lower_case=True)(folder)
    fields("config_sentence_transformers.json", prompts={"query": "query: "}, default_prompt_name="query")(folder)


def vocabulary(**configuration: Any) -> Change:
    """Replace tokenizer.json by vocab.txt, and tokenizer_config.json by these fields."""

    def change(folder: Path) -> None:
        tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in sorted(tokens, key=tokens.get)), encoding="utf-8")
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LIMIT, **configuration}))

    return change


def with_a_head(folder: Path) -> None:
    """Save the model for masked words: the names of its encoder's tensors begin with the family's name."""
    model = transformers.BertForMaskedLM.from_pretrained(folder)
    model.save_pretrained(folder)
