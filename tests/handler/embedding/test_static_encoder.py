"""A static model's vectors are means of rows: without ONNX Runtime, with the same bits in every batch and on every processor."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handler.embedding.encoders import LOADERS, load
from handler.embedding.manifest import FILES, SCALES, TABLE, Manifest, sha256
from handler.embedding.static_encoder import STATIC_REVISION, StaticEncoder
from handler.errors import Backend, OutOfTime, Unembeddable
from handler.service import Options
from tests.conftest import INT8, ROOT, Client, ClientOf, serve
from tests.layers.model import tiny_static
from tests.layers.model.commands import make

PRECISIONS = ("int8", "fp16", "fp32")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Provide a tiny static model in each precision."""
    folder = tmp_path_factory.mktemp("static")
    source = tiny_static.write(folder / "tiny", "Normalize")
    for precision in PRECISIONS:
        make(source, folder / precision, precision)
    return {precision: folder / precision for precision in PRECISIONS}


@pytest.fixture
def client(models: dict[str, Path], client_of: ClientOf) -> Client:
    """Provide a client of the int8 model."""
    return client_of(models["int8"])


def encoder(folder: Path) -> StaticEncoder:
    """Return the encoder of a static model's folder."""
    return StaticEncoder(folder, Manifest.read(folder))


# --- Imports ----------------------------------------------------------------------------------------------

PROGRAM = """
import json, sys
from handler.functions.api import handler

event = json.loads(sys.stdin.read())
texts = json.dumps({"inputs": ["some words", "a"]})
for path in ("/", "/embed_all", "/info"):
    event["requestContext"]["http"]["method"] = "GET" if path == "/info" else "POST"
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["body"], event["isBase64Encoded"] = texts, False
    assert handler(event, None)["statusCode"] == 200, handler(event, None)
mapped = [line.rpartition("/")[2] for line in open("/proc/self/maps") if line.rstrip().endswith(".npy")]
print(json.dumps([sorted({"onnxruntime", "encoder_operators", "numpy"} & sys.modules.keys()), sorted(set(mapped))]))
"""


def served_in_a_process(folder: Path) -> tuple[list[str], list[str]]:
    """Answer requests in a new process, as under Lambda; return which of some modules it imported, and the arrays it mapped."""
    environment = {name: value for name, value in os.environ.items() if name != "API_KEYS"}
    environment |= {"MODEL_DIR": str(folder), "AUTH": "none", "PYTHONPATH": str(ROOT), "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"}
    event = (ROOT / "events/http_api_v2.json").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, input=event, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    imported, mapped = json.loads(done.stdout)
    return imported, [name.strip() for name in mapped]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system does not list the mapped files of a process")
def test_onnx_runtime_is_imported_only_if_the_manifest_names_it(models: dict[str, Path]) -> None:
    """A static model's files are memory-mapped: Lambda's environments read only the rows that texts need."""
    assert served_in_a_process(models["int8"]) == (["numpy"], ["scales.npy", "table.npy"])
    assert served_in_a_process(models["fp32"]) == (["numpy"], ["table.npy"])
    assert served_in_a_process(INT8) == (["encoder_operators", "numpy", "onnxruntime"], [])


def test_every_encoder_of_a_manifest_has_a_loader() -> None:
    """The manifest's module names the files of each."""
    assert LOADERS.keys() == FILES.keys()


def test_a_manifest_without_the_field_is_of_a_model_for_onnx_runtime(tmp_path: Path) -> None:
    """Folders that were built before there were static models need no new build, and keep their cached vectors."""
    folder = tmp_path / "model"
    shutil.copytree(INT8, folder)
    content = json.loads((folder / "manifest.json").read_bytes())
    content.pop("encoder", None)
    (folder / "manifest.json").write_text(json.dumps(content))
    older, newer = Manifest.read(folder), Manifest.read(INT8)
    assert older.encoder == "onnx"
    assert load(folder, older, threads=1).fingerprint == load(INT8, newer, threads=1).fingerprint


# --- Bits -------------------------------------------------------------------------------------------------


def mean_of(rows: np.ndarray) -> np.ndarray:
    """Return the mean as it is defined: each number is added in the order of the tokens, in float32, and divided once."""
    total = np.zeros(rows.shape[1], np.float32)
    for row in rows:
        for place, number in enumerate(row.astype(np.float32)):
            total[place] = np.float32(total[place] + number)
    return total / np.float32(max(len(rows), 1))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_vector_is_the_sum_in_the_order_of_the_tokens_and_one_division(precision: str, models: dict[str, Path]) -> None:
    """The rows are those of the files. int8 rows are multiplied by their scales first. A long text is read in blocks."""
    table = np.load(models[precision] / TABLE).astype(np.float32)
    if precision == "int8":
        table *= np.load(models[precision] / SCALES)[:, np.newaxis]
    generator = np.random.default_rng(3)
    for length in (0, 1, 2, 7, 20, 130, 1500):
        ids = generator.integers(0, tiny_static.TOKENS, length)
        (vector,) = encoder(models[precision]).encode([ids])
        assert vector.tobytes() == mean_of(table[ids]).tobytes()
        (rows,) = encoder(models[precision]).encode_tokens([ids])
        assert rows.tobytes() == table[ids].tobytes()


NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32)


@given(table=st.tuples(st.integers(1, 9), st.integers(2, 70)).flatmap(lambda shape: arrays(np.float32, shape, elements=NUMBERS)))
def test_numpy_adds_rows_one_by_one_whatever_their_number_and_length(table: np.ndarray) -> None:
    """StaticEncoder relies on it: a sum in another order would have other last bits."""
    table[0] += 0  # the sum of nothing is 0, to which -0 is added, too
    assert (np.add.reduce(table, axis=0) / np.float32(len(table))).tobytes() == mean_of(table).tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_text_has_the_same_bits_alone_and_in_a_batch(precision: str, models: dict[str, Path]) -> None:
    """In any order, next to texts of other lengths."""
    generator = np.random.default_rng(5)
    sequences = [generator.integers(0, tiny_static.TOKENS, length) for length in (3, 90, 0, 17, 3000)]
    together = encoder(models[precision]).encode(sequences)
    alone = [encoder(models[precision]).encode([ids])[0] for ids in sequences]
    backwards = encoder(models[precision]).encode(sequences[::-1])[::-1]
    assert [vector.tobytes() for vector in together] == [vector.tobytes() for vector in alone]
    assert backwards.tobytes() == together.tobytes()


DIGEST = """
import hashlib, sys
import numpy as np
from pathlib import Path
from handler.embedding.manifest import Manifest
from handler.embedding.static_encoder import StaticEncoder

digest = hashlib.sha256()
for folder in map(Path, sys.argv[1:]):
    encoder = StaticEncoder(folder, Manifest.read(folder))
    sequences = [(np.arange(length) * 7) % 60 for length in (1, 2, 9, 64, 500)]
    digest.update(encoder.encode(sequences).tobytes())
from numpy._core._multiarray_umath import __cpu_dispatch__ as optional, __cpu_features__ as features
print(digest.hexdigest(), *(name for name in optional if features[name]))
"""


def test_numpy_s_kernels_of_every_processor_give_the_same_bits(models: dict[str, Path]) -> None:
    """A process in which numpy may use no instructions that only newer processors have gives the same bytes."""

    def computed(disabled: list[str]) -> tuple[str, list[str]]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NPY_DISABLE_CPU_FEATURES": " ".join(disabled)}
        command = [sys.executable, "-c", DIGEST, *map(str, models.values())]
        digest, *used = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        return digest, used

    digest, used = computed([])
    assert computed(used) == (digest, [])


# --- The port ---------------------------------------------------------------------------------------------


def test_texts_after_the_deadline_are_not_begun_and_those_before_are_returned(models: dict[str, Path]) -> None:
    """The sentence is that of every encoder."""
    ids = np.arange(5)
    with pytest.raises(OutOfTime, match=r"the time ran out: 0 of 2 inputs were embedded in 0\.0 s, send fewer at a time") as caught:
        encoder(models["fp32"]).encode([ids, ids], deadline=time.monotonic() - 1)
    assert caught.value.done == {}
    with pytest.raises(OutOfTime):
        encoder(models["fp32"]).encode_tokens([ids], deadline=time.monotonic() - 1)
    assert encoder(models["fp32"]).encode([ids], deadline=time.monotonic() + 60).shape == (1, tiny_static.DIMENSION)


def test_a_sum_that_is_not_finite_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    """A vector never has a number that is none."""
    folder = with_arrays(models["fp32"], tmp_path / "large", table=np.full((4, tiny_static.DIMENSION), 3e38, np.float32))
    assert np.isfinite(encoder(folder).encode([np.array([1])])).all()
    with pytest.raises(Unembeddable, match="not finite for 1 of the inputs"):
        encoder(folder).encode([np.array([1]), np.array([1, 2])])


def test_the_fingerprint_changes_with_the_files_and_not_with_the_processor(models: dict[str, Path], tmp_path: Path) -> None:
    """Every processor gives the same bits, so all share a cache."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : avx\n")
    manifest = Manifest.read(models["int8"])
    known = encoder(models["int8"]).fingerprint
    assert StaticEncoder(models["int8"], manifest, cpuinfo).fingerprint == known
    assert StaticEncoder(models["int8"], replace(manifest, files={}), cpuinfo).fingerprint != known
    assert len({known, *(encoder(models[name]).fingerprint for name in ("fp16", "fp32"))}) == 3
    assert STATIC_REVISION >= 1


def with_arrays(model: Path, folder: Path, **arrays_by_name: np.ndarray) -> Path:
    """Write a copy of a static model with other arrays, which its manifest names."""
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for name, array in arrays_by_name.items():
        np.save(folder / f"{name}.npy", array)
    manifest = Manifest.parse((folder / "manifest.json").read_bytes(), folder)
    replace(manifest, files={name: sha256(folder, name) for name in manifest.files}).write(folder)
    return folder


SHAPE = (tiny_static.TOKENS, tiny_static.DIMENSION)
DAMAGES: dict[str, tuple[Callable[[], dict[str, np.ndarray]], str]] = {
    "another length": (lambda: {"table": np.zeros((3, 5), np.int8)}, r"table\.npy in .* has int8 in the shape \(3, 5\)"),
    "one axis": (lambda: {"table": np.zeros(16, np.float32)}, r"has float32 in the shape \(16,\)"),
    "another type": (lambda: {"table": np.zeros(SHAPE, np.int32)}, "has int32"),
    "too few scales": (lambda: {"scales": np.ones(3, np.float32)}, r"scales\.npy in .* has no scale for each of the"),
    "scales of another type": (lambda: {"scales": np.ones(SHAPE[:1], np.float64)}, "has no scale for each of the"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_files_that_do_not_fit_are_refused(name: str, models: dict[str, Path], tmp_path: Path) -> None:
    """The sentence names the file and what it has."""
    arrays_by_name, sentence = DAMAGES[name]
    folder = with_arrays(models["int8"], tmp_path / "model", **arrays_by_name())
    with pytest.raises(Backend, match=sentence):
        encoder(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x93NUMPY\x01\x00", b"\x80\x04N."])
def test_a_file_that_is_no_array_is_refused(content: bytes, models: dict[str, Path], tmp_path: Path) -> None:
    """A pickle is never executed."""
    folder = with_arrays(models["int8"], tmp_path / "model")
    (folder / TABLE).write_bytes(content)
    with pytest.raises(Backend, match=r"table\.npy in .* is not an array"):
        StaticEncoder(folder, Manifest.parse((folder / "manifest.json").read_bytes(), folder))


# --- The service ------------------------------------------------------------------------------------------


def test_every_route_that_needs_vectors_answers(client: Client) -> None:
    """Vectors of tokens are the rows of the table, without special tokens."""
    (vector,) = client.post({"inputs": "abc", "normalize": False}).json
    (tokens,) = client.post({"inputs": "abc"}, "/embed_all").json
    (described,) = client.post({"inputs": "abc"}, "/tokenize").json
    assert [token["text"] for token in described] == ["a", "b", "c"]
    assert not any(token["special"] for token in described)
    np.testing.assert_allclose(np.mean(tokens, axis=0), vector, atol=1e-4)
    assert client.post({"inputs": "abc", "dimensions": 4}).json[0] == pytest.approx(unit(vector[:4]), abs=1e-3)
    info = client.get("/info").json
    assert (info["max_input_length"], info["model_type"]) == (tiny_static.LIMIT, {"embedding": {"pooling": "mean"}})
    (typed,) = client.post({"inputs": "abc", "output_dtype": "int8"}).json
    assert len(typed) == tiny_static.DIMENSION
    assert all(isinstance(number, int) for number in typed)
    scores = client.post({"query": "abc", "texts": ["xyz", "abc"]}, "/rerank").json
    assert scores[0]["index"] == 1


def unit(vector: list[float]) -> list[float]:
    """Return a vector of length 1."""
    return [float(number / np.linalg.norm(vector)) for number in vector]


def test_a_long_text_is_truncated_at_either_end(client: Client) -> None:
    """There are no special tokens that stay."""
    text = "a" * 5 + "b" * 30
    for direction, kept in (("right", text[: tiny_static.LIMIT]), ("left", "b" * tiny_static.LIMIT)):
        whole = client.post({"inputs": " ".join(text), "truncation_direction": direction})
        assert whole.json == client.post({"inputs": " ".join(kept)}).json
        assert whole.headers["x-hf-warning"] == f"truncation; 1 of 1 inputs were cut to {tiny_static.LIMIT} tokens"
    assert client.post({"inputs": " ".join(text), "truncate": False}).status == 422


def test_a_text_without_tokens_has_a_vector_of_zeros(client: Client) -> None:
    """As in Sentence Transformers; it is never NaN, and stays zero when it is normalized."""
    assert client.post({"inputs": [" ", "a"]}).json[0] == [0.0] * tiny_static.DIMENSION
    assert client.post({"inputs": " "}, "/embed_all").json == [[]]


def test_a_cached_vector_has_the_same_bits(models: dict[str, Path]) -> None:
    """Each precision has the codec of its kind."""
    for folder in models.values():
        service = serve(folder)
        first, second = (service.embed(["some words"], Options()) for _ in range(2))
        assert (first.hits, second.hits) == (0, 1)
        assert first.vectors.tobytes() == second.vectors.tobytes()
