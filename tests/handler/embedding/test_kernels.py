"""The kernels of the encoder's own operators are chosen by the processor or by KERNELS, and reported."""

import json
import platform
import re

import numpy as np
import pytest

from handler.config import KERNELS
from handler.errors import Backend
from handler.functions.api import make_handler
from handler.service import Options
from handler.unloaded_service import UnloadedService
from layers.runtime.operators import build
from tests.conftest import FP32, INT8, Client, serve

OPTIONS = Options(normalize=False, use_cache=False)
TEXTS = ["a", "Is it raining?", "word " * 150]


def test_the_setting_accepts_every_set_of_kernels_that_is_compiled() -> None:
    """It accepts the sets of both architectures on each of them."""
    assert set(KERNELS) == {name for sets in build.KERNELS.values() for name in sets}


@pytest.mark.parametrize("name", KERNELS)
def test_every_set_of_kernels_gives_the_same_bits_or_is_refused_with_a_sentence(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this processor lacks the instructions, the log says so, and no other kernels are used instead."""
    fastest = serve(INT8)
    capsys.readouterr()
    chosen = serve(INT8, KERNELS=name)
    logged = json.loads(capsys.readouterr().err)
    if isinstance(chosen, UnloadedService):
        assert name != fastest.kernels
        assert re.search(f"cannot be used with KERNELS={name}: .*lacks the instructions", logged["reason"])
        with pytest.raises(Backend):
            chosen.embed(TEXTS, OPTIONS)
    else:
        assert chosen.kernels == logged["kernels"] == name
        assert np.array_equal(chosen.embed(TEXTS, OPTIONS).vectors, fastest.embed(TEXTS, OPTIONS).vectors)


def test_an_unknown_set_of_kernels_is_refused_with_a_list_of_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused before the model is loaded."""
    assert isinstance(serve(INT8, KERNELS="sse2"), UnloadedService)
    reason = json.loads(capsys.readouterr().err)["reason"]
    assert reason == "KERNELS must be avx512_vnni or avx2 or i8mm or dotprod; it is 'sse2'"


def test_info_and_one_line_of_the_log_name_the_kernels_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The line also has the processor's kernel class, the number of threads and the memory."""
    service = serve(INT8, THREADS="2", AWS_LAMBDA_FUNCTION_MEMORY_SIZE="3538")
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert service.kernels in build.KERNELS[build.machine()]
    assert line == {
        "event": "model_loaded",
        "processor": line["processor"],
        "kernels": service.kernels,
        "threads": 2,
        "memory_mb": 3538,
    }
    assert line["processor"].startswith(platform.machine())
    assert Client(make_handler(service, None)).get("/info").json["kernels"] == service.kernels


def test_a_model_without_the_encoder_s_own_operators_reports_no_kernels() -> None:
    """ONNX Runtime chooses the kernels of its own operators."""
    service = serve(FP32)
    assert service.kernels == ""
    assert Client(make_handler(service, None)).get("/info").json["kernels"] is None
