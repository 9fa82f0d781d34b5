"""Haystack's embedders of Hugging Face's and of OpenAI's API, for texts and for documents."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from haystack.utils import Secret
from haystack_integrations.components.embedders.huggingface_api import HuggingFaceAPITextEmbedder

embedder = HuggingFaceAPITextEmbedder(
    api_type="text_embeddings_inference",
    api_params={"url": "http://127.0.0.1:8080"},
    token=Secret.from_token(os.environ["API_KEY"]),
    normalize=True,
)
vector = embedder.run("How is the weather?")["embedding"]

# Checks
from importlib.metadata import version

from checking import given, said, tell
from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack_integrations.components.embedders.huggingface_api import HuggingFaceAPIDocumentEmbedder
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

url = "http://127.0.0.1:8080"
key = Secret.from_token(os.environ["API_KEY"])
wrong = Secret.from_token("wrong")
tei = {"api_type": "text_embeddings_inference", "api_params": {"url": url}}
openai = {"api_base_url": f"{url}/v1", "model": "all-MiniLM-L6-v2"}


def embed(embedder: object) -> list[list[float]]:
    """The vectors that an embedder of documents puts into them."""
    return [document.embedding for document in embedder.run([Document(content=text) for text in given["texts"]])["documents"]]


answers = {
    "readme": vector,
    "texts": embed(HuggingFaceAPIDocumentEmbedder(**tei, token=key, normalize=True, progress_bar=False)),
    "unnormalized": [HuggingFaceAPITextEmbedder(**tei, token=key).run(given["text"])["embedding"]],
    "cut": [HuggingFaceAPITextEmbedder(**tei, token=key, truncate=True, normalize=True).run(given["long"])["embedding"]],
    "openai text": [OpenAITextEmbedder(**openai, api_key=key).run(given["text"])["embedding"]],
    "openai texts": embed(OpenAIDocumentEmbedder(**openai, api_key=key, progress_bar=False)),
    "dimensions": [OpenAITextEmbedder(**openai, api_key=key, dimensions=64).run(given["text"])["embedding"]],
}
ranked = HuggingFaceTEIRanker(url=url, token=key, top_k=2).run(
    given["text"], [Document(content=text) for text in given["documents"]]
)
answers["best ranked"] = [[given["documents"].index(document.content), document.score] for document in ranked["documents"]]
errors = {
    "key": said(HuggingFaceAPITextEmbedder(**tei, token=wrong).run, given["text"]),
    "empty": said(embedder.run, ""),
    "openai key": said(OpenAITextEmbedder(**openai, api_key=wrong).run, given["text"]),
}
tell(version("haystack-ai"), answers, errors)
