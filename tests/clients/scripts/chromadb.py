"""Chroma's HuggingFaceEmbeddingServer, in a collection that lives in memory."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import chromadb
from chromadb.utils.embedding_functions import HuggingFaceEmbeddingServer

embed = HuggingFaceEmbeddingServer(url="http://127.0.0.1:8080/embed", api_key_env_var="API_KEY")
collection = chromadb.EphemeralClient().create_collection("weather", embedding_function=embed)
collection.add(ids=["1", "2"], documents=["Is it raining?", "I like ice cream."])
nearest = collection.query(query_texts=["How is the weather?"], n_results=1)["documents"]

# Checks
from checking import given, tell

answers = {
    "readme": embed(["How is the weather?"])[0],
    "nearest": nearest,
    "text": embed([given["text"]]),
    "texts": embed(given["texts"]),
}
tell(chromadb.__version__, answers, {})
