"""Cohere's clients, old and new, and LangChain's. Their responses are checked against the library's own models."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

import cohere

client = cohere.ClientV2(base_url="http://127.0.0.1:8080", api_key=os.environ["API_KEY"])
response = client.embed(model="any", texts=["How is the weather?"], input_type="search_document", embedding_types=["float", "int8"])
vector = response.embeddings.float_[0]

# Checks
import asyncio

from checking import given, said, tell
from cohere.types import EmbedByTypeResponse, EmbedFloatsResponse
from cohere.v2.types import V2EmbedRequestTruncate  # noqa: F401 - the names of `truncate` that the library knows
from langchain_cohere import CohereEmbeddings

url = "http://127.0.0.1:8080"
key = os.environ["API_KEY"]
old = cohere.Client(base_url=url, api_key=key)
langchain = CohereEmbeddings(model="any", cohere_api_key=key, base_url=url)
DOCUMENT = {"model": "any", "input_type": "search_document"}
TYPES = ["float", "int8", "uint8", "binary", "ubinary"]


def embed(texts: list[str], client: cohere.ClientV2 = client, **options: object) -> list[list[float]]:
    """Return the float vectors of texts."""
    return client.embed(texts=texts, **(DOCUMENT | {"embedding_types": ["float"]} | options)).embeddings.float_


async def embed_async() -> list[list[float]]:
    """Return the float vectors of texts, by the asynchronous client."""
    asynchronous = cohere.AsyncClientV2(base_url=url, api_key=key)
    return (await asynchronous.embed(texts=given["texts"], embedding_types=["float"], **DOCUMENT)).embeddings.float_


floats = old.embed(texts=given["texts"], **DOCUMENT)
typed = client.embed(texts=given["texts"], embedding_types=TYPES, **DOCUMENT)
content = [{"content": [{"type": "text", "text": text}]} for text in given["texts"]]
# Cohere's client does not compare responses with its own models.
EmbedFloatsResponse.model_validate(floats.model_dump(), strict=True)
EmbedByTypeResponse.model_validate(typed.model_dump(by_alias=True), strict=True)
answers = {
    "readme": vector,
    "texts": embed(given["texts"]),
    "async": asyncio.run(embed_async()),
    "cohere without types": floats.embeddings,
    "cohere content": client.embed(inputs=content, embedding_types=["float"], **DOCUMENT).embeddings.float_,
    **{f"{name} vectors": getattr(typed.embeddings, name) for name in TYPES[1:]},
    "dimensions": embed([given["text"]], output_dimension=64),
    "prompt": embed([given["text"]], input_type="search_query"),
    "cut": embed([given["long"]]),
    "cut left": embed([given["long"]], truncate="START"),
    "cohere usage": [typed.meta.billed_units.input_tokens, floats.meta.billed_units.input_tokens],
    "langchain cohere": langchain.embed_documents(given["texts"]),
    "langchain cohere query": [langchain.embed_query(given["text"])],
}
wrong = {"api_key": "wrong", "base_url": url}
errors = {
    "key": said(embed, given["texts"], cohere.ClientV2(**wrong)),
    "old key": said(cohere.Client(**wrong).embed, texts=given["texts"], **DOCUMENT),
    "empty": said(embed, [""]),
    "long": said(embed, [given["long"]], truncate="NONE"),
    "dimensions": said(embed, [given["text"]], output_dimension=100_000),
}
tell(cohere.__version__, answers, errors)
