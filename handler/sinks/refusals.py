"""Refusals: the reasons for which a destination does not accept records, and the failures that the pipeline gets for them.

Law: a refusal is permanent only if the record itself is at fault. Any other fault (a lost connection, a missing right, a missing
destination) may be temporary. Its records are retried. If all retries fail, the source's own dead-letter queue keeps them.
"""

from dataclasses import dataclass

from handler import telemetry
from handler.aws import error_name
from handler.records import Deleted, Failure, Record


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason for which a record was not accepted, as a sentence. If it is `transient`, a retry may succeed."""

    error: str
    transient: bool


def to_failure(record: Record | Deleted, refusal: Refusal) -> Failure:
    """Make the failure of a record that was not written, or whose vector was not deleted."""
    kind = "Backend" if refusal.transient else "Validation"
    return Failure(record.id, refusal.error, kind, refusal.transient, record.origin)


def refuse_call(destination: str, error: Exception) -> Refusal:
    """Log that a whole call failed, and return the refusal of everything in it. `destination` begins the sentence."""
    telemetry.log("not_written", to=destination, error=error_name(error))
    return Refusal(f"{destination} did not accept it: {error_name(error)}", transient=True)
