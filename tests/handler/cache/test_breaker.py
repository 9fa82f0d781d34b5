"""The circuit breaker is closed, open or half-open."""

from handler.cache.breaker import Breaker


class Clock:
    """A clock whose time the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def warm(clock: Clock) -> Breaker:
    """Return a breaker that opens for ten seconds after three failures, and has had its first call."""
    breaker = Breaker(failures=3, pause=10, clock=clock)
    breaker.succeeded()
    return breaker


def test_it_opens_after_three_failures_in_a_row() -> None:
    """Two failures are not enough, and a success resets the count."""
    breaker = warm(Clock())
    for outcome in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        outcome()
        assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()


def test_after_the_pause_one_call_is_allowed() -> None:
    """One call is allowed after each pause, until one succeeds."""
    clock = Clock()
    breaker = warm(clock)
    for _ in range(3):
        breaker.failed()
    clock.now += 10
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.failed()
    clock.now += 10
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_a_first_call_that_fails_is_not_counted() -> None:
    """It may fail only because the process is cold."""
    breaker = Breaker(failures=1, clock=Clock())
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
