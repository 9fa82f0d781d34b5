"""The exceptions that a function raises. Their names are public: Step Functions' Retry and Catch match an exception by its name."""

from collections.abc import Sequence

from handler import telemetry
from handler.bootstrap import Handler
from handler.errors import PUBLIC, EmbeddingError, Internal, Unfinished, error_type
from handler.kinds import Context, Event
from handler.records import Failure


def with_public_errors(handler: Handler) -> Handler:
    """Make a handler raise public exceptions only.

    An EmbeddingError becomes the public one of its error_type, with the same sentence; any other exception becomes Internal, with
    the id under which the log describes it.
    """

    def handle(event: Event, context: Context) -> object:
        try:
            return handler(event, context)
        except EmbeddingError as error:
            public = PUBLIC[error_type(error)](str(error))
        except Exception as error:  # noqa: BLE001 - of an unforeseen failure, the caller must get only an id
            public = Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}")
        raise public  # outside of the except clauses: Lambda would log the exception's context, stack and all

    return handle


def raise_unfinished(failures: Sequence[Failure], count: int) -> None:
    """Raise an exception if any of `count` records failed. It quotes the first transient failure, or else the first failure.

    Raises:
        Unfinished: at least one failure is transient.
        EmbeddingError: all are permanent; the exception is named by the first failure's error_type.
    """
    if failures:
        transient = [failure for failure in failures if failure.transient]
        first = next(iter(transient), failures[0])
        public = Unfinished if transient else PUBLIC[first.error_type]
        msg = f"{len(failures)} of {count} records are not done, the first because: {first.error}"
        raise public(msg)
