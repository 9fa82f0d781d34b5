"""EventBridge Pipes: the response has a vector or a failure for each element of the event, in the same order."""

from handler.bootstrap import Handler
from handler.doors import DIRECT
from handler.functions.deadlines import deadline
from handler.functions.failures import raise_unfinished
from handler.functions.outcomes import encode_outcomes, outcome_bytes
from handler.functions.setup import Setup
from handler.kinds import Context, Event, Kind
from handler.pipeline.batching import embed_contents
from handler.pipeline.splitting import split_records
from handler.records import Failure
from handler.service import Service
from handler.sources import pipes


def make_handler(service: Service, setup: Setup, kind: Kind) -> Handler:
    """Make the handler of a pipe's enrichment. It raises if a failure is transient: the pipe then retries all elements.

    Raises:
        Unfinished: a failure is transient.
        TooLarge: the response could be larger than a function's may be.
    """
    del kind

    def handle(event: Event, context: Context) -> bytes:
        end = deadline(context)
        contents = split_records(service, list(pipes.records(event, setup.text_field)), setup.chunking, end)
        DIRECT.check_response(len(contents), outcome_bytes(service, contents), "records")
        outcomes = embed_contents(service, contents, end)
        transient = [outcome for outcome in outcomes if isinstance(outcome, Failure) and outcome.transient]
        raise_unfinished(transient, len(outcomes))
        return encode_outcomes(outcomes)

    return handle
