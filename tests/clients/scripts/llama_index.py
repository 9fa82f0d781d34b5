"""LlamaIndex's TextEmbeddingsInference."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

embeddings = TextEmbeddingsInference(
    base_url="http://127.0.0.1:8080", auth_token=os.environ["API_KEY"], model_name="all-MiniLM-L6-v2"
)
vector = embeddings.get_query_embedding("How is the weather?")

# Checks
import asyncio
from importlib.metadata import version

from checking import given, tell

answers = {
    "readme": vector,
    "text": [embeddings.get_text_embedding(given["text"])],
    "texts": embeddings.get_text_embedding_batch(given["texts"]),
    "async": asyncio.run(embeddings.aget_text_embedding_batch(given["texts"])),
    "cut": [embeddings.get_text_embedding(given["long"])],
}
tell(version("llama-index-embeddings-text-embeddings-inference"), answers, {})
