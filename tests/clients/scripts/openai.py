"""OpenAI's client, which asks for base64 unless told otherwise."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["API_KEY"])
response = client.embeddings.create(model="all-MiniLM-L6-v2", input="How is the weather?")
vector = response.data[0].embedding

# Checks
import asyncio

import openai
from checking import given, said, tell
from openai import AsyncOpenAI

url = "http://127.0.0.1:8080/v1"
key = os.environ["API_KEY"]


def embed(texts: str | list, client: OpenAI = client, **options: object) -> list[list[float]]:
    """The vectors of these texts, in the order of their index."""
    data = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts, **options).data
    return [item.embedding for item in sorted(data, key=lambda item: item.index)]


async def embed_async(texts: list[str]) -> list[list[float]]:
    """The same with the asynchronous client."""
    response = await AsyncOpenAI(base_url=url, api_key=key).embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    return [item.embedding for item in response.data]


answers = {
    "readme": vector,
    "text": embed(given["text"]),
    "texts": embed(given["texts"]),
    "float": embed(given["texts"], encoding_format="float"),
    "dimensions": embed(given["text"], dimensions=64),
    "token ids": embed(given["ids"][0]),
    "lists of token ids": embed(given["ids"]),
    "prompt": embed(given["text"], extra_body={"prompt_name": "query"}),
    "async": asyncio.run(embed_async(given["texts"])),
    "usage": [response.usage.prompt_tokens, response.usage.total_tokens],
    "models": [model.id for model in client.models.list()],
}
errors = {
    "key": said(embed, given["text"], OpenAI(base_url=url, api_key="wrong")),
    "empty": said(embed, ""),
    "prompt": said(embed, given["text"], extra_body={"prompt_name": "nonsense"}),
    "dimensions": said(embed, given["text"], dimensions=100_000),
}
tell(openai.__version__, answers, errors)
