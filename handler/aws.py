"""AWS's APIs: how a client is made, and what its errors mean.

Law: the only importer of botocore, which takes 0.1 s of CPU time: whoever may do without it imports this module where it is needed.
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
"""botocore makes its clients' classes at run time."""

type Post = Callable[[str, bytes], bytes]
"""Sends a body to a path by a signed POST; returns the body of the response, or raises ClientError."""

CONNECT_SECONDS = 0.5
FIRST_ERROR = 300
UNUSABLE = (BotoCoreError, ValueError)
"""What `connect` raises where there is no region, or a setting of botocore's own cannot be used."""


def connect(service: str, *, read_seconds: float, attempts: int = 1, connections: int = 10, region: str | None = None) -> Client:
    """A client, ready to call: 0.12 s (`make cold`), most of it importing. Credentials and endpoint are botocore's to find.

    Args:
        service: as botocore names it.
        read_seconds: how long an answer is waited for; botocore's own minute is longer than most callers live.
        attempts: how often a call is tried in all, with pauses of up to 1, 2, 4 s between.
        connections: calls at the same time.
        region: where the service is; None where the environment says so.

    Raises:
        BotoCoreError, ValueError: as UNUSABLE has it.
    """
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=connections,
    )
    return _session().create_client(service, region_name=region, config=config)


def connect_signed(url: str, service: str, region: str, content_type: str, *, read_seconds: float) -> Post:
    """Make a function that posts to an API of AWS for which botocore has no client, one attempt each.

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
    """What clients share: the second is made in half the time."""
    return botocore.session.get_session()


def error_name(error: BaseException) -> str:
    """What an error is called: by AWS, or by Python. Never its message, which may quote what was sent."""
    return error.response.get("Error", {}).get("Code") or "Unknown" if isinstance(error, ClientError) else type(error).__name__


def error_status(error: BaseException) -> int | None:
    """The HTTP status of AWS's answer; None if there was no answer."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(error, ClientError) else None
