"""Send permanent failures to the failure destination, and return the failures that must be retried."""

from collections.abc import Sequence

from handler import telemetry
from handler.pipeline.ports import FailureDestination
from handler.records import Failure


def settle(failures: Sequence[Failure], destination: FailureDestination | None) -> list[Failure]:
    """Record permanent failures at the destination; return the failures to retry.

    A failure is retried if it is transient or could not be recorded. Without a destination, all failures are retried, and the types
    of permanent ones are logged: a queue and a stream get no more than names.
    """
    permanent = [failure for failure in failures if not failure.transient]
    if destination is None or not permanent:
        if permanent:
            types = sorted({failure.error_type for failure in permanent})  # and no sentences, which may quote the records
            telemetry.log("failures_not_recorded", failures=len(permanent), errors=", ".join(types))
        return list(failures)
    unrecorded = destination.write([(failure, failure.origin.original) for failure in permanent])
    return [failure for failure in failures if failure.transient] + unrecorded
