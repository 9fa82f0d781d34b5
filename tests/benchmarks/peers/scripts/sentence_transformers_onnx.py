"""sentence-transformers on onnxruntime, with its own int8 export for this kind of CPU."""

import onnxruntime
from sentence_transformers import SentenceTransformer
from serving import serve


def load(folder, threads):
    """Its encode sorts by length and pads batches of 32."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    arguments = {"file_name": "model_qint8_avx512_vnni.onnx", "provider": "CPUExecutionProvider", "session_options": options}
    model = SentenceTransformer(folder, backend="onnx", device="cpu", model_kwargs=arguments)
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


serve(load)
