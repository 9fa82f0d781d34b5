"""AWS's APIs: how a client is made, and what its errors mean.

Law: the only importer of botocore, which takes 0.1 s of CPU time: whoever may do without it imports this module where it is needed.
"""

from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

type Client = Any
"""botocore makes its clients' classes at run time."""

CONNECT_SECONDS = 0.5
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
