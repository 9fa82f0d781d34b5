"""Ollama's client, and LangChain's OllamaEmbeddings, which uses it."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from ollama import Client

client = Client(host="http://127.0.0.1:8080", headers={"Authorization": f"Bearer {os.environ['API_KEY']}"})
vector = client.embed(model="all-minilm", input="How is the weather?")["embeddings"][0]

# Checks
import asyncio
from importlib.metadata import version

from checking import given, said, tell
from langchain_ollama import OllamaEmbeddings
from ollama import AsyncClient

url = "http://127.0.0.1:8080"
headers = {"Authorization": f"Bearer {os.environ['API_KEY']}"}
stranger = Client(host=url, headers={"Authorization": "Bearer wrong"})
(listed,) = client.list().models
langchain = OllamaEmbeddings(
    model=listed.model, base_url=url, client_kwargs={"headers": headers}, validate_model_on_init=True, num_ctx=4, keep_alive=60
)


def embed(texts: str | list[str], client: Client = client, **options: object) -> list[list[float]]:
    """Return the vectors of texts."""
    return client.embed("all-minilm", texts, **options).embeddings


answers = {
    "readme": vector,
    "text": embed(given["text"], options={"num_ctx": 4}, keep_alive=60),
    "texts": embed(given["texts"]),
    "dimensions": embed(given["text"], dimensions=64),
    "cut": embed(given["long"], truncate=True),
    "async": asyncio.run(AsyncClient(host=url, headers=headers).embed("all-minilm", given["texts"])).embeddings,
    "prompt of an older client": client.embeddings("all-minilm", given["text"]).embedding,
    "usage": [client.embed("all-minilm", given["text"]).prompt_eval_count] * 2,
    "models": [listed.model],
    "langchain text": langchain.embed_query(given["text"]),
    "langchain texts": langchain.embed_documents(given["texts"]),
    "langchain async": asyncio.run(langchain.aembed_documents(given["texts"])),
}
errors = {
    "key": said(embed, given["text"], stranger),
    "empty": said(embed, ""),
    "long": said(embed, given["long"], truncate=False),
    "dimensions": said(embed, given["text"], dimensions=100_000),
}
tell(f"{version('ollama')}, langchain-ollama {version('langchain-ollama')}", answers, errors)
