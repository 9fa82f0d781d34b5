"""Events of event sources: write their vectors to the sink, and report failed messages, which the source delivers again."""

from handler.bootstrap import Handler
from handler.errors import Backend
from handler.functions.deadlines import deadline
from handler.functions.setup import Setup
from handler.kinds import Context, Event, Kind, resolve
from handler.pipeline.pipeline import Pipeline
from handler.service import Service


def make_handler(service: Service, setup: Setup, kind: Kind) -> Handler:
    """Make the handler of a source's events. It finds the records, runs them through the pipeline and reports the failures."""
    records, reply = resolve(kind.records), resolve(kind.reply)
    service = setup.service_of_records(service)
    pipeline = Pipeline(service, setup.sink, setup.destination, setup.objects, setup.chunking) if setup.sink else None

    def handle(event: Event, context: Context) -> object:
        if pipeline is None:
            msg = f"SINK must be set for events of {kind.name}: there is no reply to put vectors into"
            raise Backend(msg)
        try:
            to_retry = pipeline.run(records(event, setup.text_field), deadline(context))
        except Exception:
            setup.give_back(event, None)
            raise
        if to_retry:
            setup.give_back(event, {failure.origin.message for failure in to_retry})
        return reply(to_retry)

    return handle
