"""The same int8 export on bare onnxruntime under our schedule: one text a run, unpadded, a run on each core, longest first."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
from serving import serve
from tokenizers import Tokenizer


def load(folder, threads):
    """Mean pooling and L2 in numpy."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/onnx/model_qint8_avx512_vnni.onnx", options)
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    names = {given.name for given in session.get_inputs()}
    pool = ThreadPoolExecutor(threads)

    def encode(ids):
        row = np.array([ids], np.int64)
        inputs = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        vector = session.run(None, {name: inputs[name] for name in names})[0][0].mean(axis=0)
        return vector / np.linalg.norm(vector)

    def embed(texts):
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
        vectors = dict(zip(order, pool.map(encode, [ids[place] for place in order]), strict=True))
        return np.stack([vectors[place] for place in range(len(ids))])

    return embed


serve(load)
