"""The pipeline function: it takes events of AWS services and writes vectors to a sink, or into its response.

Law: never imports the HTTP framework.
"""

from collections.abc import Mapping

from handler import telemetry
from handler.bootstrap import Handler, lambda_function, load_service
from handler.errors import Backend
from handler.functions.dispatch import dispatch
from handler.functions.failures import with_public_errors
from handler.functions.setup import Setup
from handler.kinds import PIPELINE, Context, Event, load
from handler.service import Service


def make_handler(service: Service, setup: Setup) -> Handler:
    """Make the handler of the pipeline function, and import everything that an event can need."""
    load(PIPELINE)
    return dispatch(PIPELINE, service, setup)


def make_refusing_handler(reason: Backend) -> Handler:
    """Make a handler that refuses every event because a setting cannot be used. So no message is acknowledged."""
    telemetry.log("settings_refused", reason=str(reason))

    def refuse(_: Event, __: Context) -> None:
        raise Backend(str(reason))

    return with_public_errors(refuse)


def from_environment(environment: Mapping[str, str], service: Service) -> Handler:
    """Make the handler of the pipeline function from its settings."""
    try:
        setup = Setup.of(environment, lambda: service.manifest)
    except Backend as reason:
        return make_refusing_handler(reason)
    return make_handler(service, setup)


handler = lambda_function(lambda environment, defer: from_environment(environment, load_service(environment, defer)))
