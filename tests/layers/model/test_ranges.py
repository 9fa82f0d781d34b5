"""The ranges that int8 vectors are made by: of the model that is served, for the sizes it was trained for."""

import base64
from pathlib import Path

import numpy as np
import pytest

from handler.service import Options
from handler.vector_types import ModelTypes
from layers.model import ranges
from layers.model.configuration import Unsupported
from layers.model.corpus import passages
from layers.model.samples import CALIBRATION_PASSAGES
from tests.conftest import INT8, serve
from tests.layers.model import tiny_bert
from tests.layers.model.commands import built, make, refusal

CARD = """* Loss: MatryoshkaLoss with these parameters:
  ```json
  {"matryoshka_dims": [
          32,
          16
      ]}
  ```
"""


def test_every_calibration_passage_of_the_default_model_lies_inside_its_ranges() -> None:
    """At full size, and close to their ends. What is served is rounded by the cache's codec, to 2^-15 of the largest number."""
    service = serve(INT8)
    texts = passages("calibration", CALIBRATION_PASSAGES)
    vectors = service.embed(texts, Options()).vectors
    least, largest = np.frombuffer(base64.b64decode(service.manifest.ranges["384"]), "<f4").reshape(2, 384)
    rounding, widened = 2.0**-15, 1 / ranges.GRID
    assert np.all((vectors >= least - rounding) & (vectors <= largest + rounding))
    assert np.all(vectors.min(axis=0) - least < widened + rounding)
    assert np.all(largest - vectors.max(axis=0) < widened + rounding)


def test_sizes_come_from_the_builder_s_caller_then_the_configuration_then_the_card() -> None:
    """The whole size is not among them: it always has ranges."""
    assert ranges.sizes((16, 8), [4], CARD, 32) == (8, 16)
    assert ranges.sizes((), [4, 32], CARD, 32) == (4,)
    assert ranges.sizes((), None, CARD, 32) == (16,)
    assert ranges.sizes((), None, "# Tiny", 32) == ()
    assert ranges.sizes((), None, '"matryoshka_dims": [64, 0, 1]', 32) == (1,)


@pytest.mark.parametrize("configured", ["many", [0], [33], [True], [8.0], [], list(range(1, 18))])
def test_sizes_that_are_none_are_refused(configured: object) -> None:
    """With where they stand."""
    with pytest.raises(Unsupported, match=r"^matryoshka_dimensions in config.json must list 1 to 16 numbers of dimensions"):
        ranges.sizes((), configured, "", 32)


def test_a_card_s_sizes_have_ranges(tmp_path: Path) -> None:
    """Sentence Transformers writes these sizes for a model that it trained."""
    source = tiny_bert.write(tmp_path / "tiny")
    (source / "README.md").write_text(f"---\nlicense: mit\n---\n{CARD}")
    assert make(source, tmp_path / "model").ranges.keys() == {"16", "32"}


def test_whoever_builds_may_name_the_sizes(tmp_path: Path) -> None:
    """`make model MATRYOSHKA=16,8`."""
    source = tiny_bert.write(tmp_path / "tiny")
    folder = built(source, tmp_path / "model", "--precision", "fp32", "--matryoshka", "16,8")
    assert serve(folder).manifest.ranges.keys() == {"8", "16", "32"}
    assert "MATRYOSHKA must be numbers of dimensions" in refusal(source, tmp_path / "none", "--matryoshka", "16;8")
    assert "MATRYOSHKA must list 1 to 16 numbers" in refusal(source, tmp_path / "none", "--matryoshka", "64")


def test_prompts_are_in_the_ranges(tmp_path: Path) -> None:
    """A prompt moves every vector of a text that it stands before."""
    prompts = {"prompts": {"query": "query: " * 4}, "default_prompt_name": "query"}
    one = make(tiny_bert.write(tmp_path / "prompted", config_sentence_transformers=prompts), tmp_path / "one")
    other = make(tiny_bert.write(tmp_path / "plain"), tmp_path / "other")
    assert one.fingerprint == other.fingerprint
    assert one.ranges != other.ranges
    query = serve(tmp_path / "one").embed(passages("calibration", CALIBRATION_PASSAGES)[1::2], Options(output_dtype="uint8"))
    assert ModelTypes(32, one.ranges).description["int8_dimensions"] == [32]
    assert query.vectors.max() > 200
