"""The rerankers of Cohere's clients, old and new, and of Voyage's."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

import cohere

client = cohere.ClientV2(base_url="http://127.0.0.1:8080", api_key=os.environ["API_KEY"])
response = client.rerank(model="any", query="How is the weather?", documents=["A cat sleeps.", "Is it raining?"], top_n=1)
best = response.results[0].index

# Checks
import asyncio

import voyageai
from checking import given, said, tell
from cohere.types import RerankResponse
from cohere.v2.types import V2RerankResponse

url = "http://127.0.0.1:8080"
key = os.environ["API_KEY"]
old = cohere.Client(base_url=url, api_key=key)
voyage = voyageai.Client(base_url=f"{url}/v1", api_key=key)
asked = {"model": "any", "query": given["text"], "documents": given["documents"]}


def ranks(response: object) -> list[list[float]]:
    """Return index and score of each result."""
    return [[result.index, result.relevance_score] for result in response.results]


async def rerank_async() -> object:
    """Rerank with Cohere's asynchronous client."""
    return await cohere.AsyncClientV2(base_url=url, api_key=key).rerank(**asked)


whole = old.rerank(**asked, return_documents=True)
ranked = voyage.rerank(**asked)
# Cohere's client does not compare responses with its own models.
RerankResponse.model_validate(whole.model_dump(), strict=True)
V2RerankResponse.model_validate(response.model_dump(), strict=True)
answers = {
    "readme rerank": best,
    "ranks": ranks(client.rerank(**asked)),
    "async ranks": ranks(asyncio.run(rerank_async())),
    "best ranks": ranks(client.rerank(**asked, top_n=2)),
    "old ranks": ranks(whole),
    "ranked documents": [result.document.text for result in whole.results],
    "old best ranks": ranks(old.rerank(**asked, top_n=2)),
    "voyage ranks": ranks(ranked),
    "voyage ranked documents": [result.document for result in ranked.results],
    "voyage best ranks": ranks(voyage.rerank(**asked, top_k=2)),
    "rerank usage": ranked.total_tokens,
}
wrong = {"api_key": "wrong", "base_url": url}
long = asked | {"documents": [given["long"]]}
errors = {
    "key": said(cohere.ClientV2(**wrong).rerank, **asked),
    "old key": said(cohere.Client(**wrong).rerank, **asked),
    "voyage key": said(voyageai.Client(base_url=f"{url}/v1", api_key="wrong").rerank, **asked),
    "empty": said(client.rerank, **asked | {"documents": [""]}),
    "voyage empty": said(voyage.rerank, **asked | {"documents": [""]}),
    "long": said(voyage.rerank, **long, truncation=False),
}
tell(f"cohere {cohere.__version__}, voyageai {voyageai.__version__}", answers, errors)
