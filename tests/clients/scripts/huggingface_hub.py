"""huggingface_hub's InferenceClient, blocking and asynchronous."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import os

from huggingface_hub import InferenceClient

client = InferenceClient("http://127.0.0.1:8080", token=os.environ["API_KEY"])
vector = client.feature_extraction("How is the weather?")[0]
scores = client.sentence_similarity("How is the weather?", ["Is it raining?", "I like ice cream."])

# Checks
import asyncio
import inspect
import logging

import huggingface_hub
from checking import given, said, tell
from huggingface_hub import AsyncInferenceClient

warnings = []
handler = logging.Handler()
handler.emit = lambda record: warnings.append(record.getMessage())
logging.getLogger("huggingface_hub").addHandler(handler)

url = "http://127.0.0.1:8080"
key = os.environ["API_KEY"]
embed = client.feature_extraction
asynchronous = AsyncInferenceClient(url, token=key)

answers = {
    "readme": vector,
    "readme similarity": scores,
    "text": embed(given["text"]),
    "texts": embed(given["texts"]),
    "normalize": embed(given["text"], normalize=True),
    "unnormalized": embed(given["text"], normalize=False),
    "prompt": embed(given["text"], prompt_name="query"),
    "short": embed(given["text"], truncate=False),
    "cut": embed(given["long"], truncate=True),
    "cut right": embed(given["long"], truncate=True, truncation_direction="Right"),
    "cut left": embed(given["long"], truncate=True, truncation_direction="Left"),
    "cut left (lower case)": embed(given["long"], truncate=True, truncation_direction="left"),
    "all options": embed(given["long"], normalize=False, prompt_name="query", truncate=True, truncation_direction="Left"),
    "similarity": client.sentence_similarity(given["text"], given["texts"]),
    "model a call": InferenceClient(token=key).feature_extraction(given["text"], model=f"{url}/embed"),
    "async": asyncio.run(asynchronous.feature_extraction(given["texts"])),
    "async similarity": asyncio.run(AsyncInferenceClient(url, token=key).sentence_similarity(given["text"], given["texts"])),
}
if InferenceClient(base_url=url).model:  # 0.28 keeps it for chat
    answers["base_url"] = InferenceClient(base_url=url, api_key=key).feature_extraction(given["text"])
if "dimensions" in inspect.signature(embed).parameters:
    answers["dimensions"] = embed(given["text"], dimensions=64, encoding_format="float")

stranger = InferenceClient(url, token="wrong")  # noqa: S106 - no password
errors = {
    "key": said(stranger.feature_extraction, given["text"]),
    "empty": said(embed, ""),
    "prompt": said(embed, given["text"], prompt_name="nonsense"),
    "long": said(embed, given["long"], truncate=False),
    "async empty": said(lambda: asyncio.run(AsyncInferenceClient(url, token=key).feature_extraction(""))),
}
tell(huggingface_hub.__version__, answers, errors, warnings)
