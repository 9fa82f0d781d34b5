"""OpenVINO, quantized by NNCF, under our schedule: one text a run, unpadded, a stream on each core, longest first."""

import numpy as np
import openvino
from openvino_model import compiled, padded, pooled, tokenizer
from serving import serve


def load(folder, threads):
    """Its own queue of asynchronous requests."""
    model = compiled(folder, {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads})
    queue = openvino.AsyncInferQueue(model, threads)
    words = tokenizer(folder)

    def embed(texts):
        ids = [encoding.ids for encoding in words.encode_batch_fast(texts)]
        vectors = {}

        def keep(request, place):
            vectors[place] = pooled(request.get_output_tensor(0).data, np.ones((1, len(ids[place])), np.int64))[0]

        queue.set_callback(keep)
        for place in sorted(range(len(ids)), key=lambda place: -len(ids[place])):
            queue.start_async(padded([ids[place]]), place)
        queue.wait_all()
        return np.stack([vectors[place] for place in range(len(ids))])

    return embed


serve(load)
