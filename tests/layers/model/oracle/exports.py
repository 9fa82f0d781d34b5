"""Write ONNX files of networks as exporters do."""

import io
from pathlib import Path

import onnx
import torch
from sentence_transformers import SentenceTransformer


def export(network: torch.nn.Module, path: Path) -> None:
    """Write the network's ONNX file as exporters do: all inputs have names, batch and length have no fixed size."""
    opset = 18 if "Llama" in type(network).__name__ else 14  # of today's exporters and of those of 2022
    names = ["input_ids", "attention_mask", "position_ids" if "Llama" in type(network).__name__ else "token_type_ids"]

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            return self.network(**dict(zip(names, values, strict=True))).last_hidden_state

    write_onnx(Named(), path, names, "last_hidden_state", opset)


def text_alone(folder: Path) -> None:
    """Write an ONNX file of the whole model that returns only the text's vector."""
    model = SentenceTransformer(str(folder), device="cpu")
    names = ["input_ids", "attention_mask", "token_type_ids"]

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            return self.model(dict(zip(names, values, strict=True)))["sentence_embedding"]

    write_onnx(Whole(), folder / "onnx/model.onnx", names, "sentence_embedding", 14)


def with_constants_in_files(folder: Path) -> None:
    """Move each large tensor into a file of its own, as torch's exports of opset 11 do."""
    path = folder / "onnx/model.onnx"
    model = onnx.load(path)
    path.unlink()
    for number, node in enumerate(model.graph.node):
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.name = f"Constant_{number}_attr__value"
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=64, convert_attribute=True)


def write_onnx(network: torch.nn.Module, path: Path, names: list[str], output: str, opset: int) -> None:
    """Write a network with these inputs and one output. Batch and length have no fixed size."""
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
