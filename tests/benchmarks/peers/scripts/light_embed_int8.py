"""light-embed with the int8 export as a local model. It has no setting for threads: onnxruntime takes all cores."""

from light_embed import TextEmbedding
from serving import serve


def load(folder, threads):
    """Its encode sorts by length and pads batches of 32."""
    del threads
    config = {
        "onnx_file": "onnx/model_qint8_avx512_vnni.onnx",
        "pooling_mode": "mean",
        "normalize": True,
        "onnx_output_map": {"last_hidden_state": "token_embeddings"},
    }
    model = TextEmbedding(folder, model_config=config, device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True)


serve(load)
