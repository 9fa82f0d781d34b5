"""The HTTP function: requests from API Gateway, Function URLs and load balancers, and plain `{"inputs": …}` invocations."""

from collections.abc import Mapping
from typing import Any

from mangum import Mangum

from handler import telemetry
from handler.bootstrap import Answer, lambda_function
from handler.errors import Backend, EmbeddingError, Empty, Internal, Tokenizer, Validation, error_type
from handler.http.app import create_app
from handler.http.encoding import encode_vectors
from handler.parsing import embedding_request
from handler.service import Service


def answering(service: Service) -> Answer:
    """How this function answers an event, given its service."""
    http = Mangum(create_app(service), lifespan="off")

    def answer(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own types
        return http(event, context) if is_http(event) else invoke(event, service)

    return answer


def is_http(event: Any) -> bool:  # noqa: ANN401 - whatever was sent
    """Whether the event is an HTTP request, proven by the parts that only its own kind has.

    Mangum guesses by less, and would take authorizer, VPC Lattice and Lambda Destinations events for requests too.
    """
    if not isinstance(event, dict) or not isinstance(event.get("requestContext"), dict) or "type" in event:
        return False  # authorizer events alone have a `type`
    if event.get("version") == "2.0":
        return "http" in event["requestContext"]  # HTTP API, Function URL
    return "httpMethod" in event and ("resource" in event or "elb" in event["requestContext"])  # REST API, load balancer


def invoke(event: Any, service: Service) -> bytes:  # noqa: ANN401 - whatever was sent
    """Answer a plain `{"inputs": …}` with the JSON of its vectors.

    Bytes reach the caller as they are; an object would be encoded again, at seven times the cost.

    Raises:
        EmbeddingError: named by its error_type, so that Step Functions' Retry and Catch can match it.
    """
    try:
        if not isinstance(event, Mapping) or "inputs" not in event:
            raise Validation(f'This function answers HTTP requests and {{"inputs": …}}. Given: {_described(event)}')  # noqa: EM102, TRY003, TRY301
        asked = embedding_request(event)
        return encode_vectors(service.embed(asked.texts, asked.options).vectors, asked.encoding_format)
    except EmbeddingError as error:
        named = PUBLIC[error_type(error)](str(error))
    except Exception as error:  # noqa: BLE001 - the last line before the caller
        named = Internal(f"Internal error; its id in the log is {telemetry.log_unexpected(error)}")
    raise named


PUBLIC: dict[str, type[EmbeddingError]] = {kind.__name__: kind for kind in (Empty, Validation, Tokenizer, Backend, Internal)}


def _described(event: object) -> str:
    """What an event is, by the names in it alone."""
    if not isinstance(event, Mapping):
        return f"a JSON {type(event).__name__}"
    return "an event with the fields " + (", ".join(sorted(map(str, event))[:10]) or "none")


handler = lambda_function(answering)
