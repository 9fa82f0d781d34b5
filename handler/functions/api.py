"""The HTTP function: requests from API Gateway, Function URLs and load balancers, and plain invocations."""

from typing import Any

from mangum import Mangum

from handler import telemetry
from handler.bootstrap import Answer, lambda_function, load_keys, load_service
from handler.doors import door_of
from handler.errors import Malformed, Validation
from handler.functions.accounted import accounted
from handler.functions.direct import invoke, told
from handler.http.app import create_app
from handler.http.errors import STATUS
from handler.keys import Keys
from handler.service import Service
from handler.sources import described, direct


def answering(service: Service, keys: Keys | None) -> Answer:
    """How this function answers an event, given its service, and for whose keys over HTTP."""
    http = Mangum(create_app(service, keys), lifespan="off")
    invoked = accounted(service, _invoking, lambda _: direct.NAME)

    def answer(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
        if direct.matches(event):
            return invoked(event, context)
        if not isinstance(event, dict) or door_of(event) is None:
            return told(lambda: _refused(event))
        try:
            return http(event, context)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            telemetry.log("unreadable_request", error=type(error).__name__)
            return UNREADABLE

    return answer


def _invoking(service: Service) -> Answer:
    return lambda event, context: told(lambda: invoke(event, context, service))


UNREADABLE = {
    "statusCode": STATUS[Malformed],
    "headers": {"content-type": "application/json"},
    "body": '{"error":"The request cannot be read: its host, port, headers or base64 are malformed","error_type":"Validation"}',
    "isBase64Encoded": False,
}
"""For what Mangum cannot make a request of. Nothing in the application raises to here: the gate answers all of that."""


def _refused(event: object) -> bytes:
    msg = f'This function answers HTTP requests, {{"inputs": …}} and {{"records": […]}}. Given: {described(event)}'
    raise Validation(msg)


handler = lambda_function(lambda environment, later: answering(load_service(environment, later), load_keys(environment)))
