"""OpenVINO, quantized by NNCF, in padded batches of 32 sorted by length."""

import numpy as np
from openvino_model import compiled, padded, pooled, tokenizer
from serving import serve

BATCH = 32


def load(folder, threads):
    """All threads inside one run."""
    model = compiled(folder, {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads})
    words = tokenizer(folder)

    def embed(texts):
        ids = [encoding.ids for encoding in words.encode_batch_fast(texts)]
        order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
        vectors = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            inputs = padded([ids[place] for place in places])
            vectors |= zip(places, pooled(model(inputs)[0], inputs["attention_mask"]), strict=True)
        return np.stack([vectors[place] for place in range(len(ids))])

    return embed


serve(load)
