"""Voyage's clients, which decode base64 by the type of vectors, and LangChain's for NVIDIA."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

import voyageai

client = voyageai.Client(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["API_KEY"])
result = client.embed(["How is the weather?"], model="any", input_type="document")
vector = result.embeddings[0]

# Checks
import asyncio
import warnings

from checking import given, said, tell
from langchain_nvidia_ai_endpoints import NVIDIAEmbeddings

warnings.filterwarnings("ignore")
url = "http://127.0.0.1:8080/v1"
key = os.environ["API_KEY"]


def embed(texts: list[str], client: voyageai.Client = client, **options: object) -> list[list[float]]:
    """Return the vectors of texts."""
    return client.embed(texts, model="any", **options).embeddings


async def embed_async() -> list[list[float]]:
    """Return the vectors of texts, by the asynchronous client."""
    return (await voyageai.AsyncClient(base_url=url, api_key=key).embed(given["texts"], model="any")).embeddings


def nvidia(**options: object) -> NVIDIAEmbeddings:
    """Make LangChain's client for NVIDIA's endpoints."""
    return NVIDIAEmbeddings(base_url=url, api_key=key, **({"model": "sentence-transformers/all-MiniLM-L6-v2"} | options))


answers = {
    "readme": vector,
    "texts": embed(given["texts"]),
    "async": asyncio.run(embed_async()),
    "prompt": embed([given["text"]], input_type="query"),
    "dimensions": embed([given["text"]], output_dimension=64),
    "cut": embed([given["long"]], truncation=True),
    **{f"{name} vectors": embed(given["texts"], output_dtype=name) for name in ("int8", "uint8", "binary", "ubinary")},
    "voyage usage": result.total_tokens,
    "langchain nvidia": nvidia().embed_documents(given["texts"]),
    "langchain nvidia query": [nvidia().embed_query(given["text"])],
    "langchain nvidia cut": nvidia(truncate="END").embed_documents([given["long"]]),
}
errors = {
    "key": said(embed, given["texts"], voyageai.Client(base_url=url, api_key="wrong")),
    "empty": said(embed, [""]),
    "long": said(embed, [given["long"]], truncation=False),
    "dimensions": said(embed, [given["text"]], output_dimension=100_000),
    "nvidia long": said(nvidia().embed_documents, [given["long"]]),
}
tell(voyageai.__version__, answers, errors)
