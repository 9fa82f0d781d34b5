"""Write the ONNX files that torch makes of the families, with which `python -m tests.benchmarks family_speeds` compares ours.

Run it by hand from the root, in the oracle's environment (__main__.py names its packages); onnxscript too, for Gemma 3:

    python -m tests.layers.model.oracle.own_files build/families [FAMILY …]

Each network has the sizes of a much used model (used_models.json), random weights, few tokens and few layers.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.layers.model import references
from tests.layers.model.oracle.exports import write_dynamo, write_onnx
from tests.layers.model.oracle.jina import Jina

LAYERS, VOCABULARY = 6, 4_096
"""The number of layers and of tokens that tests/benchmarks/family_speeds.py times."""
OPSET = 18
BERT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""The inputs of files of BERT's family."""
DECODER_INPUTS = ("input_ids", "attention_mask", "position_ids")
"""The inputs of files of causal families."""


def _official(name: str, **own: Any) -> Callable[[Mapping[str, Any]], torch.nn.Module]:
    """Return a function that makes a network of the official library from a config.json."""

    def make(config: Mapping[str, Any]) -> torch.nn.Module:
        made = getattr(transformers, f"{name}Config")(**_shortened(config), **own)
        made._attn_implementation = "eager"
        network: torch.nn.Module = getattr(transformers, f"{name}Model")(made)
        return network

    return make


def _shortened(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a config.json that decide a network's sizes, for few layers and tokens."""
    named = {NOMIC.get(name, name): config[name] for name in (*SIZES, *NOMIC) if name in config}
    return named | {"num_hidden_layers": LAYERS, "vocab_size": VOCABULARY, "pad_token_id": 1}


SIZES = (
    *("hidden_size", "num_attention_heads", "intermediate_size", "num_key_value_heads", "head_dim", "type_vocab_size"),
    *("max_position_embeddings", "hidden_act", "hidden_activation", "local_attention", "global_attn_every_n_layers"),
    *("sliding_window", "use_sliding_window", "use_bidirectional_attention", "query_pre_attn_scalar"),
    "relative_attention_num_buckets",
)
"""The fields of config.json that decide how much there is to compute."""
NOMIC = {
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_positions": "max_position_embeddings",
}
"""The fields of NomicBERT's own code, and those of the official library."""


def _jina(config: Mapping[str, Any]) -> torch.nn.Module:
    made = transformers.BertConfig(**_shortened(config))
    made._attn_implementation = "eager"
    return Jina(made, norms=False)


NETWORKS: Mapping[str, tuple[Callable[[Mapping[str, Any]], torch.nn.Module], tuple[str, ...]]] = {
    "bert": (_official("Bert"), BERT_INPUTS),
    "xlm-roberta": (_official("XLMRoberta"), BERT_INPUTS[:2]),
    "mpnet": (_official("MPNet"), BERT_INPUTS[:2]),
    "nomic_bert": (_official("NomicBert"), BERT_INPUTS),
    "qwen3": (_official("Qwen3", use_cache=False), DECODER_INPUTS),
    "modernbert": (_official("ModernBert"), BERT_INPUTS[:2]),
    "new": (_official("Gte"), BERT_INPUTS[:2]),
    "gemma3_text": (_official("Gemma3Text", use_cache=False), DECODER_INPUTS),
    "jina-bert": (_jina, BERT_INPUTS[:1]),
    "eurobert": (_official("EuroBert"), BERT_INPUTS[:2]),
}
"""For each family of used_models.json, the function that makes its network, and the inputs of its file."""
BY_DYNAMO = {"gemma3_text"}
"""The families that torch's older exporter cannot trace."""


class Named(torch.nn.Module):
    """A network that takes its inputs in the order of their names, and returns the states of the last layer."""

    def __init__(self, network: torch.nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """Compute the states of the last layer."""
        return self.network(**dict(zip(self.names, values, strict=True))).last_hidden_state


def main() -> None:
    """Write the files of the families named, or of all, into the folder that the command line names."""
    folder, *families = sys.argv[1:]
    configs = json.loads((references.FOLDER.parent / "used_models.json").read_text())["families"]
    for family in families or NETWORKS:
        make, names = NETWORKS[family]
        write = write_dynamo if family in BY_DYNAMO else write_onnx
        with torch.no_grad():
            write(Named(make(configs[family]), names), Path(folder, f"{family}.onnx"), list(names), "last_hidden_state", OPSET)
        sys.stdout.write(f"{folder}/{family}.onnx\n")


if __name__ == "__main__":
    main()
