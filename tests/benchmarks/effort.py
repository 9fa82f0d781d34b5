"""Settings for the length of a measurement."""

from dataclasses import dataclass

from .rounds import Pace


@dataclass(frozen=True, slots=True)
class Effort:
    """The sizes of one run. A burst is the seconds for which a contender repeats a short call in its turn."""

    row: Pace
    burst: float
    texts_per_core: int
    passages: int
    corpus: Pace
    fidelity_passages: int
    precisions: Pace
    scored_passages: int
    cold: Pace
    searched: int
    searches: int
    questions: int
    families: int


FULL = Effort(
    row=Pace(rounds=5, seconds=4),
    burst=0.005,
    texts_per_core=8,
    passages=1000,
    corpus=Pace(rounds=3, seconds=0),
    fidelity_passages=100,
    precisions=Pace(rounds=7, seconds=0),
    scored_passages=1000,
    cold=Pace(rounds=15, seconds=0),
    searched=1_000_000,
    searches=5,
    questions=1000,
    families=100,
)
"""A full run: about seven minutes on two cores, and one more if `precisions` must build its models first."""

QUICK = Effort(
    row=Pace(rounds=1, seconds=0),
    burst=0,
    texts_per_core=1,
    passages=32,
    corpus=Pace(rounds=1, seconds=0),
    fidelity_passages=12,
    precisions=Pace(rounds=1, seconds=0),
    scored_passages=12,
    cold=Pace(rounds=1, seconds=0),
    searched=20_000,
    searches=1,
    questions=6,
    families=1,
)
"""A quick run: about twenty seconds on two cores."""
