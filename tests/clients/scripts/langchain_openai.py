"""LangChain's OpenAIEmbeddings, told to send texts: it would send the token ids of OpenAI's own tokenizer."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from langchain_openai import OpenAIEmbeddings

embeddings = OpenAIEmbeddings(
    base_url="http://127.0.0.1:8080/v1",
    api_key=os.environ["API_KEY"],
    model="all-MiniLM-L6-v2",
    check_embedding_ctx_length=False,
)
vector = embeddings.embed_query("How is the weather?")

# Checks
import asyncio
from importlib.metadata import version

from checking import given, said, tell

answers = {
    "readme": vector,
    "texts": embeddings.embed_documents(given["texts"]),
    "async": asyncio.run(embeddings.aembed_documents(given["texts"])),
    "dimensions": [embeddings.model_copy(update={"dimensions": 64}).embed_query(given["text"])],
}
stranger = OpenAIEmbeddings(
    base_url="http://127.0.0.1:8080/v1", api_key="wrong", model="all-MiniLM-L6-v2", check_embedding_ctx_length=False
)
errors = {
    "key": said(stranger.embed_query, given["text"]),
    "empty": said(embeddings.embed_query, ""),
}
tell(version("langchain-openai"), answers, errors)
