"""Try a deployed stack over HTTP: that it is there, that it refuses a stranger, and that it embeds. `make smoke` runs this."""

import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import botocore.session

from events.redrive import Client, Stack

SECONDS = 60
"""A first request can wait for a cold start, and for a model that is fetched from S3."""
TEXT = {"inputs": "Today is a sunny day and I will get some ice cream."}


def answer(url: str, key: str = "", body: object = None) -> tuple[int, Any]:
    """Send a request; returns the status and the JSON of the response."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = Request(url, json.dumps(body).encode() if body else None, headers)  # noqa: S310 - the URL is the stack's own output
    try:
        with urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - likewise
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, None


def a_key(secret: str) -> str:
    """Return the key of a secret, or the first one of its JSON object."""
    try:
        named = json.loads(secret)
    except ValueError:
        return secret.strip()
    return str(next(iter(named.values()))) if isinstance(named, dict) else secret.strip()


def smoke(name: str, client: Callable[[str], Client]) -> str:
    """Try a stack; returns what was found, and raises AssertionError with a sentence if it does not answer as it should."""
    outputs = Stack.of(name, client).outputs
    url = outputs["Url"].rstrip("/")
    key = a_key(client("secretsmanager").get_secret_value(SecretId=outputs["ApiKey"])["SecretString"])
    checks = (("/health", "", None, 200), ("/", "", TEXT, 401), ("/", key, TEXT, 200))
    found: Any = None
    for path, given, body, expected in checks:
        status, found = answer(url + path, given, body)
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
