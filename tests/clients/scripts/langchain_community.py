"""LangChain community's HuggingFaceInferenceAPIEmbeddings, whose body has `options`."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from langchain_community.embeddings import HuggingFaceInferenceAPIEmbeddings

embeddings = HuggingFaceInferenceAPIEmbeddings(api_url="http://127.0.0.1:8080", api_key=os.environ["API_KEY"])
vector = embeddings.embed_query("How is the weather?")

# Checks
from importlib.metadata import version

from checking import given, tell

answers = {"readme": vector, "texts": embeddings.embed_documents(given["texts"])}
tell(version("langchain-community"), answers, {})
