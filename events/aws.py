"""AWS's services on this machine: moto's server, in a process of its own, provides the real APIs over HTTP.

Its data is lost when it ends. It never throttles a call, and nothing in it expires.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import botocore.session

START_SECONDS = 30.0
POLL_SECONDS = 0.05
HOST = "127.0.0.1"
REGION = "us-east-1"
# The server ends when its standard input is closed. That also happens when the process that started it is killed.
SERVER = """
import os, sys, threading
from moto.server import main
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
main(sys.argv[1:])
"""


class LocalAWS:
    """A server of AWS's APIs, for a `with` block."""

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
            start_new_session=True,  # an interrupt from the terminal goes to the process that started this one
        )
        try:
            self._wait_until_listening()
            self._create_resources()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the server; its data is lost."""
        self._stop()

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which botocore sends the calls of every service to this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        """Make a client of this server, whatever the environment says."""
        return self._session.create_client(service, REGION, endpoint_url=self.endpoint)

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401 - botocore has no types
        """The session of all clients. A session for each would read the descriptions of services again, which takes 50 ms."""
        session = botocore.session.get_session()
        session.set_credentials("local", "local")
        return session

    def _create_resources(self) -> None:
        """Create the resources that must exist when the block begins. Subclasses override this."""

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
