"""Read from config.json which tokens each layer's attention sees, and its rotary positions (Su et al. 2021, arXiv:2104.09864)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.model.configuration import Configuration

FULL, SLIDING = "full_attention", "sliding_attention"
"""The kinds of attention, by their names in config.json."""
THETA = (1.0, 1e12)
"""The smallest and the largest allowed base of rotary positions. Those of known models are from 1,000 to 5,000,000."""
FACTOR = (1.0, 1e6)
WIDEST = 10_000_000
"""The largest allowed number of tokens that a token sees."""


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary positions: the first `rotated` numbers of a head are turned, by angles from 1 to almost 1 / `theta` a token.

    divisor: all angles are divided by it.
    """

    theta: float
    rotated: int
    divisor: float = 1

    def table(self, positions: int) -> NDArray[np.float32]:
        """Return the cosines and the sines of the angles at each position (positions, 2, rotated / 2).

        Angles are rounded to float32 where the official libraries round them, because the rounding of a large angle changes its
        cosine. The functions themselves are computed in float64, so that every processor makes the same table.
        """
        shares = np.arange(0, self.rotated, 2, dtype=np.float32) / np.float32(self.rotated)
        powers = (np.float64(self.theta) ** shares.astype(np.float64)).astype(np.float32)
        steps = np.float32(1) / powers
        steps = (steps / np.float32(self.divisor)).astype(np.float32)
        angles = (np.arange(positions, dtype=np.float32)[:, np.newaxis] * steps).astype(np.float64)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Span:
    """The attention of one layer.

    window: the largest distance of a token that is seen; None for any.
    rotary: the rotary positions; None without them.
    alibi: true if scores are lowered by the distance, for each head by another slope.
    """

    window: int | None = None
    rotary: Rotary | None = None
    alibi: bool = False

    def slopes(self, heads: int) -> NDArray[np.float32] | None:
        """Return what is subtracted from each head's scores for each token of distance; None without ALiBi."""
        return alibi_slopes(heads) if self.alibi else None


# --- Rotary positions -------------------------------------------------------------------------------------


def rotary(config: Configuration, width: int) -> Rotary:
    """Return the rotary positions that rope_theta and rope_scaling describe, or rope_parameters, which replaces both.

    Raises:
        Unsupported: they are missing, or of a kind that is not computed here.
    """
    parameters = config.get("rope_parameters")
    if parameters is None:
        return read_scaled(config, width, "rope_theta", config.get("rope_scaling"), "rope_scaling")
    return from_parameters(config, width, parameters)


def rotary_by_kind(
    config: Configuration, width: int, thetas: Mapping[str, str], scaled: Sequence[str] = (FULL, SLIDING)
) -> Mapping[str, Rotary]:
    """Return the rotary positions of each kind of attention.

    rope_parameters has an entry for each kind. Older files have their bases in the fields `thetas`, and scaling for the kinds
    `scaled`.

    Raises:
        Unsupported: they are missing, or of a kind that is not computed here.
    """
    parameters = config.get("rope_parameters")
    if parameters is None:
        scaling = config.get("rope_scaling")
        return {
            kind: read_scaled(config, width, theta, scaling if kind in scaled else None, "rope_scaling")
            for kind, theta in thetas.items()
        }
    if not isinstance(parameters, dict) or parameters.keys() != thetas.keys():
        config.refuse("rope_parameters", f"it must have {' and '.join(thetas)}")
    return {kind: from_parameters(config, width, parameters[kind]) for kind in thetas}


def from_parameters(config: Configuration, width: int, parameters: object) -> Rotary:
    """Return the rotary positions of one entry of rope_parameters.

    Raises:
        Unsupported: it is of a kind that is not computed here.
    """
    if not isinstance(parameters, dict):
        config.refuse("rope_parameters", "it must be an object")
    own = Configuration(f"rope_parameters in {config.name}", parameters)
    scaling = {name: value for name, value in parameters.items() if name != "rope_theta"}
    return read_scaled(own, width, "rope_theta", scaling, "rope_type")


def read_scaled(config: Configuration, width: int, theta: str, scaling: object, field: str) -> Rotary:
    """Return the rotary positions with the base in the field `theta`, scaled as `scaling` says, which is the value of `field`.

    Raises:
        Unsupported: the scaling is of a kind that is not computed here.
    """
    base = config.number(theta, float, least=THETA[0], most=THETA[1])
    if scaling is not None and not isinstance(scaling, dict):
        config.refuse(field, "it must be an object")
    own = dict(scaling or {})
    kind = own.pop("rope_type", None) or own.pop("type", None) or "default"
    own.pop("type", None)
    if kind not in SCALINGS:
        config.refuse(field, f"this builder knows {', '.join(SCALINGS)}")
    if width % 2:
        config.refuse(theta, f"a head has {width} numbers, and rotary positions turn pairs of them")
    return SCALINGS[kind](Configuration(f"{field} in {config.name}", own), base, width)


def _check_known(config: Configuration, *known: str) -> None:
    for name, value in config.fields.items():
        if value is not None and not (name in known or (name, value) == ("partial_rotary_factor", 1)):
            config.refuse(name, "this builder does not know what that does to a vector; delete the field if it does nothing")


def _default(config: Configuration, base: float, rotated: int) -> Rotary:
    _check_known(config, "factor", "original_max_position_embeddings")
    return Rotary(base, rotated)


def _linear(config: Configuration, base: float, rotated: int) -> Rotary:
    _check_known(config, "factor", "original_max_position_embeddings")
    return Rotary(base, rotated, config.number("factor", float, least=FACTOR[0], most=FACTOR[1]))


def _ntk(config: Configuration, base: float, rotated: int) -> Rotary:
    """Return the fixed NTK scaling of GTE's code: the largest angle is divided by less than the smallest one."""
    _check_known(config, "factor")
    factor = config.number("factor", float, least=FACTOR[0], most=FACTOR[1])
    return Rotary(base * factor, rotated, factor ** (2 / rotated)) if factor > 1 else Rotary(base, rotated)


SCALINGS: Mapping[str, Callable[[Configuration, float, int], Rotary]] = {
    "default": _default,
    "linear": _linear,
    # The angles change only for texts that are longer than max_position_embeddings, and no text here is.
    "dynamic": _default,
    "ntk": _ntk,
}
"""The kinds of rope_scaling, by the names that libraries give them."""


# --- Windows ----------------------------------------------------------------------------------------------


def kinds(config: Configuration, layers: int, default: list[str]) -> list[str]:
    """Return the kind of each layer's attention: the field layer_types, or the default.

    Raises:
        Unsupported: the field does not name a known kind for each layer.
    """
    given = config.get("layer_types")
    if given is None:
        return default
    if not isinstance(given, list) or len(given) < layers or not set(map(str, given)) <= {FULL, SLIDING}:
        config.refuse("layer_types", f"it must name {FULL} or {SLIDING} for each of the {layers} layers")
    return given[:layers]


def window(config: Configuration, field: str) -> int:
    """Return a number of tokens that a token sees.

    Raises:
        Unsupported: the field is missing, or no number of tokens.
    """
    return config.number(field, int, least=1, most=WIDEST)


def alibi_slopes(heads: int) -> NDArray[np.float32]:
    """Return the slope of each head (ALiBi, Press et al. 2022, arXiv:2108.12409).

    For a power of 2 they are a geometric series that ends at 1 / 256. For another number, the series of the next smaller power
    comes first, then every second slope of the next larger one.
    """
    power = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * (place + 1) / power) for place in range(power)]
    slopes += [2.0 ** (-4 * (place + 1) / power) for place in range(0, 2 * (heads - power), 2)]
    return np.array(slopes, np.float32)
