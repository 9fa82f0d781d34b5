"""AWS's services on this machine: moto's server, a process of its own that answers the real APIs over HTTP.

It keeps nothing beyond its own life, and neither throttles nor expires anything.
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
REGION = "us-east-1"
# Ends when its standard input does, which is when whoever started it is gone, in whatever way.
SERVER = """
import os, sys, threading
from moto.server import main
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
main(sys.argv[1:])
"""


class LocalAWS:
    """A server, for a `with` block."""

    def __enter__(self) -> Self:
        """Start the server."""
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
            self._furnish()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the server; what it held is gone with it."""
        self._stop()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What botocore needs to find it, for every service."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        """A client of its own, whatever the environment says."""
        session = botocore.session.get_session()
        session.set_credentials("local", "local")
        return session.create_client(service, REGION, endpoint_url=self.endpoint)

    def _furnish(self) -> None:
        """Make what is to be there from the start."""

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._server.poll() is None:
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            time.sleep(POLL_SECONDS)
        msg = "The local AWS (moto's server) did not start."
        raise RuntimeError(msg)

    def _stop(self) -> None:
        self._server.kill()
        self._server.communicate()
