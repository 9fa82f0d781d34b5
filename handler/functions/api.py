"""The HTTP function: it takes requests from API Gateway, function URLs and load balancers, and plain invocations."""

import asyncio
from dataclasses import dataclass
from functools import cache

from mangum import Mangum

from handler import telemetry
from handler.bootstrap import Handler, lambda_function, load_keys, load_service
from handler.chunking import WHOLE, Chunking
from handler.config import KeySettings
from handler.errors import Malformed
from handler.http.app import create_app
from handler.http.errors import STATUS
from handler.keys import Keys
from handler.kinds import API, HTTP, Context, Event, Kind, find
from handler.service import Service


@dataclass(frozen=True, slots=True)
class Setup:
    """The setup of the HTTP function: the valid keys, the field that holds a record's text, and how texts of records are split.

    `keys` is None if no key is required. `pages` is True if the pages for browsers require no key.
    """

    keys: Keys | None
    pages: bool = True
    text_field: str = "inputs"
    chunking: Chunking = WHOLE


def make_handler(service: Service, keys: Keys | None, *, pages: bool = True) -> Handler:
    """Make the handler of the HTTP function."""
    setup = Setup(keys, pages)
    handle_http = make_http_handler(service, setup, HTTP)

    @cache
    def dispatcher() -> Handler:
        from handler.functions.dispatch import dispatch  # noqa: PLC0415 - HTTP requests do not wait for what only records need

        return dispatch(API, service, setup)

    def handle(event: Event, context: Context) -> object:
        if find(event, API) is HTTP:
            return handle_http(event, context)
        return dispatcher()(event, context)

    return handle


def make_http_handler(service: Service, setup: Setup, kind: Kind) -> Handler:
    """Make the handler of HTTP requests."""
    del kind
    app = Mangum(create_app(service, setup.keys, pages=setup.pages), lifespan="off")

    def handle(event: Event, context: Context) -> object:
        try:
            _provide_event_loop()
            return app(event, context)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            telemetry.log("unreadable_request", error=type(error).__name__)
            return UNREADABLE

    return handle


def _provide_event_loop() -> None:
    """Make an event loop for this thread if it has none: Mangum makes one only for the thread that constructs it."""
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())


UNREADABLE = {
    "statusCode": STATUS[Malformed],
    "headers": {"content-type": "application/json"},
    "body": '{"error":"The request cannot be read: its host, port, headers or base64 are malformed","error_type":"Validation"}',
    "isBase64Encoded": False,
}
"""The response to an event that Mangum cannot read. The middleware responds to all failures inside the application."""


handler = lambda_function(
    lambda environment, defer: make_handler(
        load_service(environment, defer), load_keys(environment), pages=KeySettings.from_environment(environment).pages
    )
)
