"""A client of text-embeddings-inference. It reads `/info` first, and returns the body of a failure instead of raising."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from tei_client import HttpClient

client = HttpClient("http://127.0.0.1:8080", headers={"Authorization": f"Bearer {os.environ['API_KEY']}"})
vector = client.embed("How is the weather?")[0]

# Checks
import asyncio
from importlib.metadata import version

from checking import given, tell
from tei_client.models import TruncationDirection

url = "http://127.0.0.1:8080"
LEFT = TruncationDirection.Left

tokens = client.tokenize(given["texts"])
# A second header in place of the first: this client sends what it is given.
other = HttpClient(url, headers={"X-API-Key": os.environ["API_KEY"]})
answers = {
    "readme": vector,
    "text": client.embed(given["text"]),
    "texts": other.embed(given["texts"]),
    "async": asyncio.run(client.async_embed(given["texts"])),
    "unnormalized": client.embed(given["text"], normalize=False),
    "prompt": client.embed(given["text"], prompt_name="query"),
    "cut": client.embed(given["long"], truncate=True),
    "cut left": client.embed(given["long"], truncate=True, truncation_direction=LEFT),
    "tokens": [token for text in tokens for token in text.get_ids()],
    "decoded": client.decode([text.get_ids() for text in tokens]),
    "info": client.info().server_model_id,
}
errors = {
    "empty": str(client.embed("")),
    "prompt": str(client.embed(given["text"], prompt_name="nonsense")),
    "long": str(client.embed(given["long"])),
}
tell(version("tei-client"), answers, errors)
