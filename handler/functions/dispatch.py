"""Pass each event to the handler of its kind, by the table in handler/kinds.py."""

from functools import cache

from handler.bootstrap import Handler
from handler.functions.failures import with_public_errors
from handler.functions.request_log import MeteredService, with_request_log
from handler.kinds import Context, Event, Kind, find, kind_of, resolve
from handler.service import Service


def dispatch(function: str, service: Service, setup: object) -> Handler:
    """Make the handler of a function's events that are no HTTP requests. It logs each event, and raises public exceptions only.

    Args:
        function: the function, as the table names it.
        service: embeds texts.
        setup: the other values that the function's handlers need.
    """
    metered = MeteredService(service)

    @cache
    def handler_of(kind: Kind) -> Handler:
        handler: Handler = resolve(kind.make_handler)(metered, setup, kind)
        return handler

    def handle(event: Event, context: Context) -> object:
        return handler_of(kind_of(event, function))(event, context)

    def name_of(event: Event) -> str:
        kind = find(event, function)
        return kind.name if kind else "refused"

    return with_request_log(with_public_errors(handle), metered, name_of)
