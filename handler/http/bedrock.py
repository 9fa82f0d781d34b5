"""Amazon Bedrock's dialect: InvokeModel, as boto3's `bedrock-runtime` client sends it to its `endpoint_url`.

The client sends a key in `authorization: Bearer` if the environment has it as AWS_BEARER_TOKEN_BEDROCK. Without that it signs the
request with AWS credentials, which are no key of this endpoint: such a request is refused with 401 if keys are required.
"""

from fastapi import Response

from handler import bedrock
from handler.http.request import HttpRequest
from handler.http.responses import embedding_response


def invoke(request: HttpRequest) -> Response:
    """Embed what the body asks for, whatever model the path names."""
    reply = bedrock.invoke(request.fields(), request.service, request.door.check_response, request.embed)
    return embedding_response(request, reply.content, reply.result, reply.warning)
