"""A DynamoDB on this machine: moto's server, a process of its own that answers the real API over HTTP.

It keeps nothing beyond its own life, and neither throttles nor expires rows.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import botocore.session

START_SECONDS = 30.0
POLL_SECONDS = 0.05
HOST = "127.0.0.1"
# Ends when its standard input does, which is when whoever started it is gone, in whatever way.
SERVER = """
import os, sys, threading
from moto.server import main
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
main(sys.argv[1:])
"""
KEY = "key"


class LocalDynamoDB:
    """A server with one table as template.yaml makes it, for a `with` block."""

    def __init__(self, table: str = "vectors") -> None:
        """Name the table."""
        self.table = table

    def __enter__(self) -> Self:
        """Start the server and make the table."""
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port: int = free.getsockname()[1]
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER, "--host", HOST, "--port", str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt from the terminal is for whoever started this
        )
        try:
            self._wait_until_listening()
            self._make_table()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the server; its table is gone with it."""
        self._stop()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What botocore needs to find it, and the handler its table."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "CACHE_TABLE": self.table,
        }

    def client(self) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        """Its own client, whatever the environment says."""
        session = botocore.session.get_session()
        session.set_credentials("local", "local")
        return session.create_client("dynamodb", "us-east-1", endpoint_url=self.endpoint)

    def _make_table(self) -> None:
        self.client().create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": KEY, "AttributeType": "B"}],
            KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._server.poll() is None:
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            time.sleep(POLL_SECONDS)
        msg = "The local DynamoDB (moto's server) did not start."
        raise RuntimeError(msg)

    def _stop(self) -> None:
        self._server.kill()
        self._server.communicate()
