"""The local DynamoDB ends when the process that started it ends."""

import socket
import subprocess
import sys
import time
from contextlib import suppress

from tests.conftest import ROOT

KILLED = """
import os
from events.dynamodb import LocalDynamoDB
with LocalDynamoDB() as dynamodb:
    print(dynamodb.port, flush=True)
    os.kill(os.getpid(), 9)
"""
SECONDS = 10


def listens(port: int) -> bool:
    """Return True if a server answers on the port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_the_server_ends_when_the_process_that_started_it_is_killed() -> None:
    """SIGKILL leaves a process no time to stop its server."""
    port = int(subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, capture_output=True, check=False).stdout)
    deadline = time.monotonic() + SECONDS
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(port)
