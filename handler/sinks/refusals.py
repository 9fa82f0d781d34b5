"""Why a destination did not accept a record, and the failure that the pipeline gets for it.

Law: a refusal is permanent only if the record itself is at fault. Any other trouble (a lost connection, a missing right, a missing
destination) may pass. Its records are retried, and the source's own dead-letter queue keeps them in the end.
"""

from dataclasses import dataclass

from handler import telemetry
from handler.aws import error_name
from handler.records import Deleted, Failure, Record


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason, as a sentence. A `transient` one may pass if the record is retried."""

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
