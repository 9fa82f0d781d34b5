"""Try a deployed stack over HTTP: it must be healthy, refuse a request without a key, and embed a text. `make smoke` runs this."""

import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import botocore.session

from events.redrive import Client, Stack

SECONDS = 60
"""The first request may wait for a cold start and for a model that is fetched from S3."""
TEXT = {"inputs": "Today is a sunny day and I will get some ice cream."}


def send(url: str, key: str = "", body: object = None) -> tuple[int, Any]:
    """Send a request; return the response's status and JSON."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = Request(url, json.dumps(body).encode() if body else None, headers)  # noqa: S310 - the URL is the stack's own output
    try:
        with urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - the URL is the stack's own output
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, None


def first_key(secret: str) -> str:
    """Return the key in a secret, or the first key if the secret is a JSON object of keys by name."""
    try:
        named = json.loads(secret)
    except ValueError:
        return secret.strip()
    return str(next(iter(named.values()))) if isinstance(named, dict) else secret.strip()


def smoke(name: str, client: Callable[[str], Client]) -> str:
    """Try a stack; return a sentence about its vector.

    Raises:
        AssertionError: a response does not have the expected status; the sentence says which one.
    """
    outputs = Stack.of(name, client).outputs
    url = outputs["Url"].rstrip("/")
    key = first_key(client("secretsmanager").get_secret_value(SecretId=outputs["ApiKey"])["SecretString"])
    checks = (("/health", "", None, 200), ("/", "", TEXT, 401), ("/", key, TEXT, 200))
    found: Any = None
    for path, given, body, expected in checks:
        status, found = send(url + path, given, body)
        if status != expected:
            msg = f"{url}{path} {'with' if given else 'without'} a key answered {status}, not {expected}"
            raise AssertionError(msg)
    return f"{url} embeds: a vector of {len(found[0])} numbers"


def main() -> None:
    """Try the stack that the command line names."""
    try:
        print(f"{smoke(sys.argv[1], botocore.session.get_session().create_client)}.")
    except AssertionError as error:
        sys.exit(f"{error}.")


if __name__ == "__main__":
    main()
