"""The HTTP function: requests from API Gateway, Function URLs and load balancers, and plain invocations."""

import asyncio
from functools import cache
from typing import Any

from mangum import Mangum

from handler import telemetry
from handler.bootstrap import Handler, lambda_function, load_keys, load_service
from handler.config import KeySettings
from handler.doors import door_of
from handler.errors import Malformed
from handler.http.app import create_app
from handler.http.errors import STATUS
from handler.keys import Keys
from handler.service import Service


def answering(service: Service, keys: Keys | None, *, pages: bool = True) -> Handler:
    """Make the handler of events: HTTP requests require one of `keys`, and the pages do too unless they are open."""
    http = Mangum(create_app(service, keys, pages=pages), lifespan="off")

    @cache
    def plain() -> Handler:
        from handler.functions import direct  # noqa: PLC0415 - with records and all sources, for which no HTTP request should wait

        return direct.answering(service)

    def answer(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
        if not isinstance(event, dict) or door_of(event) is None:
            return plain()(event, context)
        try:
            _provide_event_loop()
            return http(event, context)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            telemetry.log("unreadable_request", error=type(error).__name__)
            return UNREADABLE

    return answer


def _provide_event_loop() -> None:
    """Make an event loop for this thread if it has none: Mangum makes one for the thread that it is made on alone."""
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
"""The response if Mangum cannot read an event. The application itself raises nothing: its middleware catches everything."""


handler = lambda_function(
    lambda environment, later: answering(
        load_service(environment, later), load_keys(environment), pages=KeySettings.from_environment(environment).pages
    )
)
