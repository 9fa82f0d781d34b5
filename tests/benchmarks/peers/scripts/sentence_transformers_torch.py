"""sentence-transformers on torch, in float32."""

import torch
from sentence_transformers import SentenceTransformer
from serving import serve


def load(folder, threads):
    """Its encode sorts by length and pads batches of 32."""
    torch.set_num_threads(threads)
    model = SentenceTransformer(folder, device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


serve(load)
