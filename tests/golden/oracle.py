"""The official library's vectors of a real model. references.py runs this in the environment build/peers/torch.

python tests/golden/oracle.py FOLDER OUT.json
"""

import json
import sys
from pathlib import Path

import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer

ORDINARY = [
    "Today is a sunny day and I will get some ice cream.",
    "How is the weather?",
    "a",
    "The parcel was sent to Zürich on 14 March 2024 and came back unopened, for want of a signature.",
    "def mean(values: list[float]) -> float:\n    return sum(values) / len(values)",
    "WHY IS THE KEYBOARD SHOUTING? Because somebody leant on caps lock; nobody noticed...",
    "Ünïcödé, 한국어, Ελλάς and a 🦜.",
    " ".join(f"House number {number} has {number * 7 % 11} windows, and in {number % 9} of them is light." for number in range(60)),
]
UNUSUAL = [" ", "a <pad> b [SEP] c </s>", "word " * 500 + "and an end of its own."]
"""Texts that quantized models get wrong: nothing, special tokens written out, one word five hundred times."""
LONG = (ORDINARY[-1], UNUSUAL[-1])


def main() -> None:
    """Write the vectors of the model in a folder, long texts truncated on either side."""
    folder, out = sys.argv[1:]
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.float32}).float()
    rows = []
    for side, texts in (("right", ORDINARY + UNUSUAL), ("left", LONG)):
        model.tokenizer.truncation_side = side
        for text in texts:
            vector = [float(f"{value:.5g}") for value in model.encode(text, show_progress_bar=False).tolist()]
            rows.append({"text": text, "side": side, "ordinary": text in ORDINARY, "vector": vector})
    versions = {library.__name__: library.__version__ for library in (sentence_transformers, transformers, torch)}
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    Path(out).write_text(f'{{"made_by": {json.dumps(versions)}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
