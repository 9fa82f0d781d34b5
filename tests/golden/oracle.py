"""What the official library computes for a real model: the golden vectors of all-mpnet-base-v2.json.

Run by hand, in the environment that tests/layers/model/oracle.py names:

    python tests/golden/oracle.py FOLDER tests/golden/all-mpnet-base-v2.json
"""

import json
import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

TEXTS = [
    "Today is a sunny day and I will get some ice cream.",
    "a",
    " ",
    "Ünïcödé, 한국어, Ελλάς and a 🦜.",
    "a <pad> b [SEP] c </s>",
    "word " * 500 + "and an end of its own.",
]


def main() -> None:
    """Write the vectors of the model in a folder, each text cut on either side."""
    folder, out = sys.argv[1:]
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.float32}).float()
    rows = []
    for side in ("right", "left"):
        model.tokenizer.truncation_side = side
        for text in TEXTS if side == "right" else TEXTS[-1:]:
            vector = [float(f"{value:.5g}") for value in model.encode(text, show_progress_bar=False).tolist()]
            rows.append({"text": text, "side": side, "vector": vector})
    Path(out).write_text(json.dumps(rows, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
