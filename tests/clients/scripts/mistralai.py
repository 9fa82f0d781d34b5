"""Mistral's client, whose responses must have an id."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from mistralai.client import Mistral

client = Mistral(server_url="http://127.0.0.1:8080", api_key=os.environ["API_KEY"])
response = client.embeddings.create(model="all-MiniLM-L6-v2", inputs=["How is the weather?"])
vector = response.data[0].embedding

# Checks
import asyncio
from importlib.metadata import version

from checking import given, said, tell


def embed(texts: str | list[str], client: Mistral = client, **options: object) -> list[list[float]]:
    """Return the vectors of texts."""
    return [item.embedding for item in client.embeddings.create(model="all-MiniLM-L6-v2", inputs=texts, **options).data]


async def embed_async(texts: list[str]) -> list[list[float]]:
    """Return the vectors of texts, by the asynchronous method."""
    response = await client.embeddings.create_async(model="all-MiniLM-L6-v2", inputs=texts)
    return [item.embedding for item in response.data]


answers = {
    "readme": vector,
    "text": embed(given["text"]),
    "texts": embed(given["texts"]),
    "async": asyncio.run(embed_async(given["texts"])),
    "dimensions": embed(given["text"], output_dimension=64),
    **{f"{name} vectors": embed(given["texts"], output_dtype=name) for name in ("int8", "uint8", "binary", "ubinary")},
    "usage": [response.usage.prompt_tokens, response.usage.total_tokens],
}
errors = {
    "key": said(embed, given["text"], Mistral(server_url="http://127.0.0.1:8080", api_key="wrong")),
    "empty": said(embed, ""),
}
tell(version("mistralai"), answers, errors)
