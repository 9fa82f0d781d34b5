"""Create clients of AWS's APIs, and read their errors.

Law: the only importer of botocore, which takes 0.1 s of CPU time. So code that may not need AWS imports this module at first use.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.httpsession import URLLib3Session

type Client = Any
"""botocore creates the classes of its clients at run time."""

type Post = Callable[[str, bytes], bytes]
"""Sends a body to a path by a signed POST; returns the body of the response, or raises ClientError."""

CONNECT_SECONDS = 0.5
FIRST_ERROR = 300
UNUSABLE = (BotoCoreError, ValueError)
"""The errors that `connect` raises if there is no region, or if one of botocore's own settings is invalid."""


def connect(service: str, *, read_seconds: float, attempts: int = 1, connections: int = 10, region: str | None = None) -> Client:
    """Return a client that is ready to call; it takes 0.12 s (`make cold`). botocore finds credentials and the endpoint.

    Args:
        service: the name of the service in botocore.
        read_seconds: the seconds to wait for a response. botocore's default of a minute is longer than most callers may run.
        attempts: the number of attempts of a call, with pauses of up to 1, 2, 4 s between them.
        connections: the number of calls at the same time.
        region: the region of the service; None for the environment's.

    Raises:
        BotoCoreError, ValueError: see UNUSABLE.
    """
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=connections,
    )
    return _session().create_client(service, region_name=region, config=config)


def connect_signed(url: str, service: str, region: str, content_type: str, *, read_seconds: float) -> Post:
    """Make a function that sends a signed POST, in one attempt, to an API of AWS for which botocore has no client.

    Args:
        url: scheme and host; AWS_ENDPOINT_URL replaces it, as for clients.
        service: the name in the signature.
        region: the region in the signature.
        content_type: the type of the bodies.
        read_seconds: the time limit of a response.
    """
    session = _session()
    endpoint = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), service).provide() or url
    http = URLLib3Session(timeout=(CONNECT_SECONDS, read_seconds))

    def post(path: str, body: bytes) -> bytes:
        if not (credentials := session.get_credentials()):
            raise NoCredentialsError
        headers = {"Content-Type": content_type, "X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
        request = AWSRequest("POST", endpoint + path, headers, body)
        SigV4Auth(credentials.get_frozen_credentials(), service, region).add_auth(request)
        response = http.send(request.prepare())
        if response.status_code >= FIRST_ERROR:
            status = response.status_code
            raise ClientError({"Error": {"Code": f"HTTP{status}"}, "ResponseMetadata": {"HTTPStatusCode": status}}, path)
        content: bytes = response.content
        return content

    return post


@cache
def _session() -> Any:  # noqa: ANN401 - botocore's
    """Return the session that all clients share, so that creating the second client takes half the time."""
    return botocore.session.get_session()


def error_name(error: BaseException) -> str:
    """Return AWS's code of an error, or the name of its class; never the message, which may quote the request."""
    return error.response.get("Error", {}).get("Code") or "Unknown" if isinstance(error, ClientError) else type(error).__name__


def error_status(error: BaseException) -> int | None:
    """Return the HTTP status of AWS's response; None if there was none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(error, ClientError) else None
