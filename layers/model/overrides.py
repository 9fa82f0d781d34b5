"""The settings of `make model` that replace what a model's files say: POOLING, NORMALIZE, MAX_LENGTH and TASK."""

from dataclasses import dataclass, replace
from typing import Any

from layers.model.configuration import Unsupported
from layers.model.modules import POOLING_MODES, Modules

BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Overrides:
    """The settings; None where the files decide. `pooling` is one mode or several joined by +. `task` is a name in config.json."""

    pooling: str | None = None
    normalize: bool | None = None
    max_length: int | None = None
    task: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            Unsupported: a value is not allowed.
        """
        modes = (self.pooling or "mean").split("+")
        if len(set(modes)) != len(modes) or not set(modes) <= set(POOLING_MODES):
            msg = f"POOLING must be {', '.join(POOLING_MODES)} or several joined by +; it is {self.pooling!r}"
            raise Unsupported(msg)
        if self.max_length is not None and self.max_length < 1:
            msg = f"MAX_LENGTH must be a whole number of at least 1; it is {self.max_length}"
            raise Unsupported(msg)

    def modules(self, modules: Modules) -> Modules:
        """Return the modules with the pooling and the normalization of the settings.

        Raises:
            Unsupported: the modules after Pooling take vectors of another length.
        """
        if self.pooling is not None:
            modules = replace(modules, pooling=replace(modules.pooling, modes=tuple(self.pooling.split("+"))))
            modules.check_dimensions()
        return modules if self.normalize is None else replace(modules, normalize=self.normalize)

    def length(self, limit: int | None, positions: int) -> int | None:
        """Return how many tokens a text may have. `limit` is what the files say, `positions` is how many the model has.

        Raises:
            Unsupported: MAX_LENGTH is larger than the number of positions.
        """
        if self.max_length is not None and self.max_length > positions:
            msg = f"MAX_LENGTH is {self.max_length}, but the model has positions for {positions} tokens"
            raise Unsupported(msg)
        return limit if self.max_length is None else self.max_length


def changes(found: dict[str, Any], used: dict[str, Any]) -> dict[str, Any]:
    """Return the used values that differ from those found in the files."""
    return {name: value for name, value in used.items() if value != found[name]}
