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
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI

root = "http://127.0.0.1:8080"
url = f"{root}/v1"
key = os.environ["API_KEY"]


def embed(texts: str | list, client: OpenAI = client, **options: object) -> list[list[float]]:
    """The vectors of these texts, in the order of their index."""
    data = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts, **options).data
    return [item.embedding for item in sorted(data, key=lambda item: item.index)]


async def embed_async(texts: list[str]) -> list[list[float]]:
    """The same with the asynchronous client."""
    response = await AsyncOpenAI(base_url=url, api_key=key).embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    return [item.embedding for item in response.data]


azure = {"api_version": "2024-10-21", "api_key": key}


async def embed_azure(texts: list[str]) -> list[list[float]]:
    """Return the vectors that Azure's asynchronous client gets."""
    client = AsyncAzureOpenAI(azure_endpoint=root, azure_deployment="any/deployment", **azure)
    return [item.embedding for item in (await client.embeddings.create(model="any", input=texts)).data]


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
    "model": client.models.retrieve("sentence-transformers/all-MiniLM-L6-v2").id,
    "short model": client.models.retrieve("all-MiniLM-L6-v2").id,
    "no base": embed(given["texts"], OpenAI(base_url=root, api_key=key)),
    "azure": embed(given["texts"], AzureOpenAI(azure_endpoint=root, **azure)),
    "azure base": embed(given["texts"], AzureOpenAI(base_url=root, **azure)),
    "azure deployment": embed(given["texts"], AzureOpenAI(azure_endpoint=root, azure_deployment="any", **azure)),
    "azure async": asyncio.run(embed_azure(given["texts"])),
    "azure v1": embed(given["texts"], OpenAI(base_url=f"{root}/openai/v1/", api_key=key)),
}
errors = {
    "key": said(embed, given["text"], OpenAI(base_url=url, api_key="wrong")),
    "azure key": said(embed, given["text"], AzureOpenAI(azure_endpoint=root, **azure | {"api_key": "wrong"})),
    "empty": said(embed, ""),
    "azure empty": said(embed, "", AzureOpenAI(azure_endpoint=root, **azure)),
    "prompt": said(embed, given["text"], extra_body={"prompt_name": "nonsense"}),
    "dimensions": said(embed, given["text"], dimensions=100_000),
}
tell(openai.__version__, answers, errors)
