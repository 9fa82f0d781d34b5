"""Hands permanent failures to the failure destination, and says which failures are left to retry."""

from collections.abc import Sequence

from handler.pipeline.ports import FailureDestination
from handler.records import Failure


def settle(failures: Sequence[Failure], destination: FailureDestination | None) -> list[Failure]:
    """Record permanent failures at the destination; return the failures to retry.

    These are the transient ones and those that could not be recorded. Without a destination, all are retried.
    """
    permanent = [failure for failure in failures if not failure.transient]
    if destination is None or not permanent:
        return list(failures)
    unrecorded = destination.write([(failure, failure.origin.original) for failure in permanent])
    return [failure for failure in failures if failure.transient] + unrecorded
