"""infinity's engine on torch, its default, in float32; it batches by itself.

Its onnxruntime engine does not find a local file with the optimum that runs on Python 3.13.
"""

import asyncio

import numpy as np
import torch
from infinity_emb import AsyncEmbeddingEngine, EngineArgs
from serving import serve


def load(folder, threads):
    """Its warm-up is left out, which is not part of a first vector."""
    torch.set_num_threads(threads)
    loop = asyncio.new_event_loop()
    arguments = EngineArgs(
        model_name_or_path=folder, engine="torch", device="cpu", dtype="float32", bettertransformer=False, model_warmup=False
    )
    engine = AsyncEmbeddingEngine.from_args(arguments)
    loop.run_until_complete(engine.astart())

    def embed(texts):
        vectors, _ = loop.run_until_complete(engine.embed(sentences=texts))
        vectors = np.stack(vectors)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return embed


serve(load)
