"""LiteLLM, by its Hugging Face and by its OpenAI provider."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from litellm import embedding

response = embedding(
    model="openai/all-MiniLM-L6-v2",
    api_base="http://127.0.0.1:8080/v1",
    api_key=os.environ["API_KEY"],
    input=["How is the weather?"],
)
vector = response.data[0]["embedding"]

# Checks
import asyncio
from importlib.metadata import version

from checking import given, said, tell
from litellm import EmbeddingResponse, aembedding, rerank

url = "http://127.0.0.1:8080"
key = os.environ["API_KEY"]
openai = {"model": "openai/all-MiniLM-L6-v2", "api_base": f"{url}/v1"}
# Without `input_type` LiteLLM asks huggingface.co for the model's task, and names with "sentence-transformers" always compare.
huggingface = {"model": "huggingface/all-MiniLM-L6-v2", "api_base": url, "input_type": "feature-extraction"}


def embed(texts: list[str], api_key: str = key, **options: object) -> list[list[float]]:
    """The vectors of these texts."""
    return vectors(embedding(input=texts, api_key=api_key, **options))


def vectors(response: EmbeddingResponse) -> list[list[float]]:
    """The vectors in a response."""
    return [item["embedding"] for item in response.data]


def ranks(provider: str, base: str = url, api_key: str = key, **options: object) -> list[list[float]]:
    """Return index and score of each document, as LiteLLM's client of a provider of rerankers gets them."""
    asked = {"query": given["text"], "documents": given["documents"], **options}
    results = rerank(model=f"{provider}/any", api_base=base, api_key=api_key, **asked).results
    return [[result["index"], result["relevance_score"]] for result in results]


answers = {
    "jina ranks": ranks("jina_ai"),
    "cohere ranks": ranks("cohere"),
    "cohere best ranks": ranks("cohere", top_n=2),
    "voyage ranks": ranks("voyage"),
    "infinity ranks": ranks("infinity", return_documents=False),  # it expects documents that are strings
    "vllm ranks": ranks("hosted_vllm"),
    "huggingface ranks": ranks("huggingface"),
    "readme": vector,
    "texts": embed(given["texts"], **openai),
    "float": embed(given["texts"], **openai, encoding_format="float"),
    "base64": embed(given["texts"], **openai, encoding_format="base64"),
    "dimensions": embed([given["text"]], **openai, dimensions=64, allowed_openai_params=["dimensions"]),
    "async": vectors(asyncio.run(aembedding(input=given["texts"], api_key=key, **openai))),
    "huggingface texts": embed(given["texts"], **huggingface),
    "huggingface async": vectors(asyncio.run(aembedding(input=given["texts"], api_key=key, **huggingface))),
    "huggingface similarity": embed([given["text"], *given["texts"]], **{**huggingface, "input_type": "sentence-similarity"}),
}
errors = {
    "jina key": said(ranks, "jina_ai", api_key="wrong"),
    "voyage key": said(ranks, "voyage", api_key="wrong"),
    "huggingface ranks key": said(ranks, "huggingface", api_key="wrong"),
    "key": said(embed, [given["text"]], "wrong", **openai),
    "empty": said(embed, [""], **openai),
    "huggingface key": said(embed, [given["text"]], "wrong", **huggingface),
    "huggingface empty": said(embed, [""], **huggingface),
}
tell(version("litellm"), answers, errors)
