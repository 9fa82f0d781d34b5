"""Compute a first vector in the processes that cold.py starts. Each prints one line as soon as it has its vector.

That tells how many numbers it has, and the seconds of CPU time that it took since the process was started.

Law: imports at the top only what every process has imported by then; what a process needs, its function imports.
"""

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def bare() -> None:
    """Start Python only."""
    _tell(0)


def floor(folder: str, tokens: str) -> None:
    """Do the least that any program with this model needs: onnxruntime, a session, one run."""
    import encoder_operators  # noqa: PLC0415 - belongs to what is timed
    import numpy as np  # noqa: PLC0415 - likewise
    import onnxruntime  # noqa: PLC0415 - likewise

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.register_custom_ops_library(str(encoder_operators.LIBRARY))
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
    ids = np.arange(2000, 2000 + int(tokens), dtype=np.int64)[np.newaxis]
    _tell(session.run(["pooled"], {"input_ids": ids})[0].shape[-1])


def stock(graph: str, tokens: str) -> None:
    """Run the plain int8 graph of the same weights, in a session with ONNX Runtime's defaults."""
    import numpy as np  # noqa: PLC0415 - belongs to what is timed
    import onnxruntime  # noqa: PLC0415 - likewise

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    ids = np.arange(2000, 2000 + int(tokens), dtype=np.int64)[np.newaxis]
    fed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    _tell(session.run(None, fed)[0].shape[-1])


def handler(event: str) -> None:
    """Import the HTTP function as Lambda does, and send it one request."""
    import json  # noqa: PLC0415 - belongs to what is timed

    from handler.functions.api import handler as api  # noqa: PLC0415 - likewise

    with open(event, "rb") as file:  # noqa: PTH123 - pathlib is not what is timed
        reply = api(json.load(file), Context)
    _tell(len(json.loads(reply["body"])[0]))


class Context:
    """The part of Lambda's context that the handler uses."""

    aws_request_id = "1"


def restored(event: str) -> None:
    """Print the rest of a cold start with SnapStart as CPU milliseconds in JSON: the hooks after a restore, and the first request.

    The snapshot is not taken: what of the process's memory Lambda would still have to bring, nothing here can tell.
    """
    import json  # noqa: PLC0415 - belongs to the process, not to the top

    import snapshot_restore_py  # noqa: PLC0415 - likewise

    from handler.functions.api import handler as api  # noqa: PLC0415 - likewise

    with open(event, "rb") as file:  # noqa: PTH123 - likewise
        asked = json.load(file)
    started = time.process_time()
    for hook, arguments, named in snapshot_restore_py.get_after_restore():
        hook(*arguments, **named)
    ready = time.process_time()
    reply = api(asked, Context)
    answered = time.process_time()
    assert reply["statusCode"] == 200, reply
    sys.stdout.write(json.dumps({"the hooks": (ready - started) * 1000, "the first request": (answered - ready) * 1000}))


def waterfall(event: str) -> None:
    """Import the HTTP function, send one request, and print the CPU milliseconds of each step as JSON.

    Modules that two steps need are the first one's.
    """
    import gc  # noqa: PLC0415 - as much as it takes to measure is in the first step
    import json  # noqa: PLC0415 - likewise

    gc.disable()  # as under Lambda from the first import on
    readings = [("python", time.process_time())]

    def step(name: str) -> None:
        readings.append((name, time.process_time()))

    import onnxruntime  # noqa: F401, PLC0415 - numpy is its own

    step("import numpy, onnxruntime")
    import tokenizers  # noqa: F401, PLC0415 - as above

    step("import tokenizers")
    import mangum  # noqa: F401, PLC0415 - as above

    step("import asyncio, mangum")
    import starlette.applications  # noqa: F401, PLC0415 - as above

    step("import starlette")
    import pydantic.main  # noqa: F401, PLC0415 - as above

    step("import pydantic")
    from handler.http import lazy_fastapi  # noqa: F401, PLC0415 - as above

    step("import fastapi")
    from handler import bootstrap, model_store  # noqa: PLC0415 - as above
    from handler.embedding import encoders  # noqa: PLC0415 - as above
    from handler.http import app  # noqa: PLC0415 - as above

    step("import handler")
    watched = {
        model_store.open_model: "hash the model",
        bootstrap.Tokenization.__init__: "load the tokenizer",  # type: ignore[attr-defined]
        encoders.load: "load the session",
        bootstrap._table: "the table's client",  # noqa: SLF001 - a step without a name of its own
        bootstrap.load_keys: "the keys",
        app.create_app: "make the application",
    }
    took = _watch({function.__code__: name for function, name in watched.items()})
    from handler.functions.api import handler as api  # noqa: PLC0415 - as above

    step("the rest of loading")
    asked = json.loads(open(event, "rb").read())  # noqa: PTH123, SIM115 - as above
    reply = api(asked, Context)
    step("the first request")
    assert reply["statusCode"] == 200, reply
    spent = {name: now - before for (name, now), (_, before) in zip(readings, [("", 0.0), *readings], strict=False)}
    spent["the rest of loading"] -= sum(took.values())
    sys.stdout.write(json.dumps({name: seconds * 1000 for name, seconds in (spent | took).items()}))


def _watch(names: "dict[Any, str]") -> "dict[str, float]":
    """Record the CPU seconds of each of these functions with the interpreter's own monitoring."""
    events, tool = sys.monitoring.events, sys.monitoring.PROFILER_ID
    took = dict.fromkeys(names.values(), 0.0)
    began: dict[Any, float] = {}

    def enter(code: object, _: int) -> None:
        began[code] = time.process_time()

    def leave(code: object, _: int, __: object) -> None:
        took[names[code]] += time.process_time() - began[code]

    sys.monitoring.use_tool_id(tool, "waterfall")
    sys.monitoring.register_callback(tool, events.PY_START, enter)
    sys.monitoring.register_callback(tool, events.PY_RETURN, leave)
    for code in names:
        sys.monitoring.set_local_events(tool, code, events.PY_START | events.PY_RETURN)
    return took


def _tell(numbers: int) -> None:
    sys.stdout.write(f"{numbers} {time.process_time()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
