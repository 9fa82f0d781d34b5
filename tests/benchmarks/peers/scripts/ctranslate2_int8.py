"""CTranslate2 in int8, in batches of 32 sorted by length."""

import ctranslate2
import numpy as np
from serving import serve
from tokenizers import Tokenizer

BATCH = 32


def load(folder, threads):
    """Mean pooling and L2 in numpy."""
    model = ctranslate2.Encoder(f"{folder}/ctranslate2", device="cpu", inter_threads=1, intra_threads=threads, compute_type="int8")
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)

    def embed(texts):
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
        vectors = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            states = np.array(model.forward_batch([ids[place] for place in places]).last_hidden_state)
            for place, rows in zip(places, states, strict=True):
                vector = rows[: len(ids[place])].mean(axis=0)
                vectors[place] = vector / np.linalg.norm(vector)
        return np.stack([vectors[place] for place in range(len(ids))])

    return embed


serve(load)
