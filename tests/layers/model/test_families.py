"""A model of a family is written exactly as its files say, or refused by the field or the tensor that is not known.

test_references.py compares the vectors of every family with the official library's.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from layers.model import networks
from layers.model.architectures import ARCHITECTURES, VARIANTS, Shape, find
from layers.model.configuration import Configuration, Unsupported
from layers.model.families.spans import Rotary, alibi_slopes
from layers.model.specification import Specification
from tests.layers.model import references


def config(name: str, **changes: Any) -> Configuration:  # noqa: ANN401 - any JSON
    """Return config.json of a reference model, with some fields changed. None removes a field."""
    fields = {**references.load(name)["files"]["config.json"], **changes}
    return Configuration("config.json", {field: value for field, value in fields.items() if value is not None})


def rope(**scaling: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the field that has rotary positions, with a scaling."""
    return {"rope_parameters": {"rope_theta": 10_000.0, **scaling}}


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "yarn": ("qwen3", rope(rope_type="yarn", factor=4.0), "rope_type is 'yarn'; this builder knows default, linear, dynamic, ntk"),
    "old yarn": ("qwen3-sliding", {"rope_scaling": {"type": "yarn"}}, "rope_scaling is {'type': 'yarn'}; this builder knows"),
    "mixed NTK": (
        "gte-new",
        {"rope_scaling": {"type": "ntk", "factor": 2.0, "mixed_b": 0.5}},
        "rope_scaling in config.json says mixed_b is 0.5; this builder does not know",
    ),
    "NTK without a factor": ("gte-new", {"rope_scaling": {"type": "ntk"}}, "says factor is None; it must be a number from 1 to"),
    "part of a head": ("qwen3", rope(partial_rotary_factor=0.5), "partial_rotary_factor is 0.5; this builder does not know"),
    "no base": ("eurobert-biases", {"rope_theta": None}, "rope_theta is None; it must be a number from 1 to"),
    "no kind of base": ("modernbert", {"rope_parameters": {}}, "it must have full_attention and sliding_attention"),
    "scaling of another type": ("qwen3-sliding", {"rope_scaling": "linear"}, "rope_scaling is 'linear'; it must be an object"),
    "odd heads": ("nomic-own-code", {"n_embd": 21, "n_head": 3}, "n_head is 3; a head has 7 numbers, and rotary positions"),
    "odd width": ("qwen3", {"head_dim": 7}, "a head has 7 numbers, and rotary positions turn pairs of them"),
    "groups": ("qwen3", {"num_key_value_heads": 3}, "num_key_value_heads is 3; it must divide num_attention_heads, which is 4"),
    "kind of attention": (
        "qwen3",
        {"layer_types": ["full_attention", "chunked_attention"]},
        "it must name full_attention or sliding_attention for each of the 2 layers",
    ),
    "too few kinds": ("gemma3", {"layer_types": ["full_attention"]}, "for each of the 3 layers"),
    "no window": ("gemma3", {"sliding_window": None}, "sliding_window is None; it must be a whole number from 1 to"),
    "scores by length": ("gte-new", {"logn_attention_scale": True}, "logn_attention_scale is True; this builder knows False"),
    "RMSNorm of GTE": ("gte-new", {"layer_norm_type": "rms_norm"}, "layer_norm_type is 'rms_norm'; this builder knows layer_norm"),
    "learned positions of GTE": ("gte-new", {"position_embedding_type": "absolute"}, "'absolute'; this builder knows rope"),
    "norms first": ("nomic-own-code", {"prenorm": True}, "prenorm is True; this builder knows False"),
    "biases": ("nomic-own-code", {"qkv_proj_bias": True}, "qkv_proj_bias is True; this builder knows False"),
    "experts": ("nomic-own-code", {"num_experts": 8}, "num_experts is 8; this builder does not know what that does"),
    "rotary share": ("nomic-own-code", {"rotary_emb_fraction": 0.5}, "rotary_emb_fraction is 0.5; this builder knows 1.0"),
    "growing base": ("nomic-own-code", {"rotary_scaling_factor": 2}, "rotary_scaling_factor is 2; this builder knows none"),
    "caps": ("gemma3", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0; this builder knows none"),
    "gate": ("jina", {"feed_forward_type": "original"}, "feed_forward_type is 'original'; this builder knows geglu, reglu"),
    "clipping": ("eurobert", {"clip_qkv": 8.0}, "clip_qkv is 8.0; this builder knows none"),
    "code of another family": ("bert", {"auto_map": {"AutoModel": "code.Model"}}, "auto_map is {'AutoModel': 'code.Model'}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_network_that_is_not_computed_here_is_refused_by_its_field(name: str) -> None:
    """The sentence has the field, its value and what is possible."""
    reference, changes, expected = REFUSED[name]
    Shape.read(config(reference))
    with pytest.raises(Unsupported) as caught:
        Shape.read(config(reference, **changes))
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", [name for name in references.NAMES if name in {"nomic", "qwen3", "gte-new", "gemma3", "jina"}])
def test_a_checkpoint_with_another_tensor_of_the_encoder_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    """Code of the repository's own may do anything with it. Heads, buffers and layers after the last one change no vector."""
    folder = references.write(name, tmp_path / "source")
    specification = Specification.read(folder)
    assert isinstance(specification.network, Shape)
    row, path = specification.network.architecture, folder / "model.safetensors"
    tensors, one = safetensors.numpy.load_file(path), np.ones(1, np.float32)
    beyond = f"{row.prefix}{row.layer.format(specification.network.layers)}.{row.output}.weight"
    harmless = ["pooler.dense.weight", "lm_head.weight", "embeddings.position_ids", "rotary_emb.inv_freq", beyond]
    safetensors.numpy.save_file({**tensors, **dict.fromkeys(harmless, one)}, path)
    networks.read(specification)
    inside = f"{row.layer.format(0)}.router.weight"
    safetensors.numpy.save_file({**tensors, inside: one}, path)
    with pytest.raises(Unsupported, match=f"model.safetensors has the tensor {inside}, and nobody here knows what that does"):
        networks.read(specification)


def test_every_variant_of_a_family_is_recognized_by_its_config() -> None:
    """A row that no file leads to would never be written."""
    names = [name for name in references.NAMES if "config.json" in references.load(name)["files"]]
    found = [find(config(name)) for name in names]
    assert [row for variants in VARIANTS.values() for _, row in variants if row not in found] == []
    assert find(config("bert", model_type="unknown")) is None
    assert find(config("bert", model_type=["bert"])) is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_row_has_no_field_that_is_both_used_and_harmless(name: str) -> None:
    """One of the tables would be wrong about it."""
    rows = [ARCHITECTURES[name], *(row for _, row in VARIANTS.get(name, []))]
    for row in rows:
        known = row.known()
        harmless = [field for fields in known.harmless.values() for field in fields]
        assert set(known.used) & {*harmless, *known.only} == set()
        assert set(harmless) & known.only.keys() == set()


def test_scaling_that_begins_after_the_last_position_changes_nothing() -> None:
    """No text here is longer than max_position_embeddings, from where on the library changes the angles."""
    plain, dynamic = (Shape.read(config("qwen3", **rope(rope_type=kind, factor=4.0))) for kind in ("default", "dynamic"))
    assert plain == dynamic


def test_half_of_a_window_in_both_directions_is_on_each_side() -> None:
    """ModernBERT and Gemma name the whole window. A causal window has all before the token, and the token itself."""
    assert Shape.read(config("modernbert", local_attention=128)).spans[1].window == 64
    assert Shape.read(config("gemma3", sliding_window=512)).spans[0].window == 256
    assert Shape.read(config("gemma3-causal", sliding_window=512)).spans[0].window == 511
    assert [span.window for span in Shape.read(config("qwen3-sliding")).spans] == [None, 4]


def test_a_layer_without_a_pattern_of_its_own_gets_the_library_s() -> None:
    """Older files name how often a layer sees all tokens, and not each layer's kind."""
    spans = Shape.read(config("modernbert", layer_types=None, num_hidden_layers=7, global_attn_every_n_layers=3)).spans
    assert [span.window is None for span in spans] == [True, False, False, True, False, False, True]
    spans = Shape.read(config("gemma3", layer_types=None, num_hidden_layers=7, sliding_window_pattern=3)).spans
    assert [span.window is None for span in spans] == [False, False, True, False, False, True, False]


@given(
    theta=st.floats(1.0, 1e7),
    pairs=st.integers(1, 128),
    divisor=st.floats(1.0, 8.0),
    position=st.integers(0, 8191),
)
def test_a_rotary_table_has_the_angles_of_its_definition(theta: float, pairs: int, divisor: float, position: int) -> None:
    """Each angle is rounded to float32, which moves it by up to its own rounding, and steps by theirs."""
    table = Rotary(theta, 2 * pairs, divisor).table(position + 1)
    assert table.shape == (position + 1, 2, pairs)
    for pair in {0, pairs // 2, pairs - 1}:
        angle = position / theta ** (pair / pairs) / divisor
        slack = 1e-6 + angle * 2e-6
        assert abs(table[position, 0, pair] - math.cos(angle)) <= slack
        assert abs(table[position, 1, pair] - math.sin(angle)) <= slack


@given(heads=st.integers(1, 200))
def test_alibi_slopes_fall_and_those_of_a_power_of_two_end_at_a_256th(heads: int) -> None:
    """For another number the second half is between those of the first (Press et al. 2022, section 3)."""
    slopes = alibi_slopes(heads)
    power = 1 << (heads.bit_length() - 1)
    assert slopes.shape == (heads,)
    assert slopes[power - 1] == 2.0**-8
    assert np.all(np.diff(slopes[:power]) < 0)
    assert np.all(np.diff(slopes[power:]) < 0)
    assert len(set(slopes.tolist())) == heads


def test_a_checkpoint_without_a_tensor_of_the_encoder_is_refused_by_its_name(tmp_path: Path) -> None:
    """The fields of config.json say which tensors there must be."""
    folder = references.write("jina", tmp_path / "source")
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    del tensors["encoder.layer.1.mlp.wo.bias"]
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(Unsupported, match=r"lacks the tensor encoder\.layer\.1\.mlp\.wo\.bias, which config\.json asks for"):
        networks.read(Specification.read(folder))
