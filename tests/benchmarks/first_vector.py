"""What the processes of cold.py do. Each prints one line as soon as it has its vector: how many numbers that has.

Law: imports at the top only what every process has imported by then; what a process needs, its function imports.
"""

import sys


def bare() -> None:
    """Python itself."""
    _tell(0)


def floor(folder: str, tokens: str) -> None:
    """What nothing with this model in it can do without: onnxruntime, a session, one run."""
    import numpy as np  # noqa: PLC0415 - belongs to what is timed
    import onnxruntime  # noqa: PLC0415 - likewise

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
    ids = np.arange(2000, 2000 + int(tokens), dtype=np.int64)[np.newaxis]
    _tell(session.run(["pooled"], {"input_ids": ids})[0].shape[-1])


def handler(event: str) -> None:
    """The HTTP function, imported, asked once."""
    import json  # noqa: PLC0415 - belongs to what is timed

    from handler.functions.api import handler as api  # noqa: PLC0415 - likewise

    with open(event, "rb") as file:  # noqa: PTH123 - pathlib is not what is timed
        reply = api(json.load(file), None)
    _tell(len(json.loads(reply["body"])[0]))


def _tell(numbers: int) -> None:
    sys.stdout.write(f"{numbers}\n")
    sys.stdout.flush()
