"""LangChain's HuggingFaceEndpointEmbeddings; from 1.2.2 on it refuses a URL."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from langchain_huggingface import HuggingFaceEndpointEmbeddings

embeddings = HuggingFaceEndpointEmbeddings(model="http://127.0.0.1:8080", huggingfacehub_api_token=os.environ["API_KEY"])
vector = embeddings.embed_query("How is the weather?")

# Checks
import asyncio
from importlib.metadata import version

from checking import given, said, tell

url = "http://127.0.0.1:8080"
key = os.environ["API_KEY"]
cut = {"truncate": True, "truncation_direction": "Left"}
answers = {
    "readme": vector,
    "texts": embeddings.embed_documents(given["texts"]),
    "async": asyncio.run(embeddings.aembed_documents(given["texts"])),
    "cut left": HuggingFaceEndpointEmbeddings(model=url, huggingfacehub_api_token=key, model_kwargs=cut).embed_documents(
        [given["long"]]
    ),
}
stranger = HuggingFaceEndpointEmbeddings(model=url, huggingfacehub_api_token="wrong")  # noqa: S106 - no password
errors = {
    "key": said(stranger.embed_query, given["text"]),
    "empty": said(embeddings.embed_query, ""),
}
tell(version("langchain-huggingface"), answers, errors)
