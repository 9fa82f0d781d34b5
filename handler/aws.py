"""Create clients of AWS's APIs, and read their errors.

Law: the only importer of botocore, which takes 0.1 s of CPU time. So code that may not need AWS imports this module at first use.
"""

from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

type Client = Any
"""botocore creates the classes of its clients at run time."""

CONNECT_SECONDS = 0.5
UNUSABLE = (BotoCoreError, ValueError)
"""The errors of `connect` if there is no region, or if one of botocore's own settings is invalid."""


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
