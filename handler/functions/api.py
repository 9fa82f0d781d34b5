"""The HTTP function: requests from API Gateway, Function URLs and load balancers, and plain `{"inputs": …}` invocations."""

from collections.abc import Mapping
from typing import Any

from mangum import Mangum

from handler import telemetry
from handler.bootstrap import Answer, lambda_function, load_keys, load_service
from handler.errors import Backend, EmbeddingError, Empty, Internal, Malformed, Tokenizer, Validation, error_type, kind, shown
from handler.http.app import create_app
from handler.http.doors import DIRECT, door_of, remaining_ms
from handler.http.encoding import encode_vectors, row_bytes
from handler.http.errors import STATUS
from handler.keys import Keys
from handler.parsing import embedding_request
from handler.service import Service, check_batch


def answering(service: Service, keys: Keys | None) -> Answer:
    """How this function answers an event, given its service, and for whose keys over HTTP."""
    http = Mangum(create_app(service, keys), lifespan="off")

    def answer(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
        if not isinstance(event, dict) or door_of(event) is None:
            return invoke(event, context, service)
        try:
            return http(event, context)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            telemetry.log("unreadable_request", error=type(error).__name__)
            return UNREADABLE

    return answer


UNREADABLE = {
    "statusCode": STATUS[Malformed],
    "headers": {"content-type": "application/json"},
    "body": '{"error":"The request cannot be read: its host, port, headers or base64 are malformed","error_type":"Validation"}',
    "isBase64Encoded": False,
}
"""For what Mangum cannot make a request of. Nothing in the application raises to here: the gate answers all of that."""


def invoke(event: Any, context: Any, service: Service) -> bytes:  # noqa: ANN401 - whatever was sent
    """Answer a plain `{"inputs": …}` with the JSON of its vectors.

    Bytes reach the caller as they are; an object would be encoded again, at seven times the cost.

    Raises:
        EmbeddingError: named by its error_type, so that Step Functions' Retry and Catch can match it.
    """
    try:
        if not isinstance(event, dict) or "inputs" not in event:
            raise Validation(f'This function answers HTTP requests and {{"inputs": …}}. Given: {_described(event)}')  # noqa: EM102, TRY003, TRY301
        asked = embedding_request(event)
        check_batch(service, len(asked.texts))
        dimension = asked.options.dimensions or service.manifest.dimension
        DIRECT.check_response(len(asked.texts), row_bytes(dimension, asked.encoding_format))
        result = service.embed(asked.texts, asked.options, DIRECT.deadline({}, remaining_ms(context)))
        return encode_vectors(result.vectors, asked.encoding_format)
    except EmbeddingError as error:
        named = PUBLIC[error_type(error)](str(error))
    except Exception as error:  # noqa: BLE001 - the last line before the caller
        named = Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}")
    raise named


PUBLIC: dict[str, type[EmbeddingError]] = {kind.__name__: kind for kind in (Empty, Validation, Tokenizer, Backend, Internal)}


def _described(event: object) -> str:
    """What an event is, by the names in it alone."""
    if not isinstance(event, Mapping):
        return kind(event)
    return "an event with the fields " + (", ".join(sorted(shown(name) for name in event)[:10]) or "none")


handler = lambda_function(lambda environment, later: answering(load_service(environment, later), load_keys(environment)))
