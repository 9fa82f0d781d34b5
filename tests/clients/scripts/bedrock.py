"""boto3's client of Amazon Bedrock, which sends a key over HTTPS only, and LangChain's BedrockEmbeddings, which uses it."""
# Runs in an environment of its own, whose types are not known here.
# mypy: ignore-errors
# ruff: noqa: E402

# README
import json
import os

import boto3

os.environ["AWS_BEARER_TOKEN_BEDROCK"] = os.environ["API_KEY"]
client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url="https://127.0.0.1:8080")
response = client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "How is the weather?"}))
vector = json.loads(response["body"].read())["embedding"]

# Checks
from checking import given, said, tell
from langchain_aws import BedrockEmbeddings


def invoke(model: str, client: object = client, **fields: object) -> dict:
    """Return the content of a response."""
    return json.loads(client.invoke_model(modelId=model, body=json.dumps(fields))["body"].read())


def stranger(**credentials: str) -> object:
    """Make a client that signs its requests with AWS credentials."""
    del os.environ["AWS_BEARER_TOKEN_BEDROCK"]
    return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url="http://127.0.0.1:8080", **credentials)


def exception_of(**fields: object) -> str:
    """Return the name of the exception that Bedrock's own model of errors has for a refusal."""
    try:
        invoke(titan, **fields)
    except client.exceptions.ValidationException as error:
        return error.response["Error"]["Code"]
    return "none"


titan, cohere = "amazon.titan-embed-text-v2:0", "cohere.embed-english-v3"
titan_embeddings, cohere_embeddings = (
    BedrockEmbeddings(client=client, model_id=titan),
    BedrockEmbeddings(client=client, model_id=cohere),
)
one = invoke(titan, inputText=given["text"])
several = invoke(cohere, texts=given["texts"], input_type="search_document", truncate="END", embedding_types=["float"])
answers = {
    "readme": vector,
    "text": [one["embedding"]],
    "titan by type": [one["embeddingsByType"]["float"]],
    "usage": [one["inputTextTokenCount"]] * 2,
    "dimensions": [invoke(titan, inputText=given["text"], dimensions=64)["embedding"]],
    "unnormalized": [invoke(titan, inputText=given["text"], normalize=False)["embedding"]],
    "texts": several["embeddings"]["float"],
    "cohere without types": invoke(cohere, texts=given["texts"])["embeddings"],
    "prompt": invoke(cohere, texts=[given["text"]], input_type="search_query")["embeddings"],
    "cut left": invoke(cohere, texts=[given["long"]], truncate="START")["embeddings"],
    "langchain titan": titan_embeddings.embed_query(given["text"]),
    "langchain titan texts": titan_embeddings.embed_documents(given["texts"]),
    "langchain cohere": cohere_embeddings.embed_documents(given["texts"]),
    "langchain cohere query": [cohere_embeddings.embed_query(given["text"])],
    "exception": exception_of(inputText=given["text"], dimensions=100_000),
}
errors = {
    "empty": said(invoke, titan, inputText=""),
    "long": said(invoke, cohere, texts=[given["long"]], truncate="NONE"),
    "dimensions": said(invoke, titan, inputText=given["text"], dimensions=100_000),
    "key": said(invoke, titan, stranger(aws_access_key_id="a", aws_secret_access_key="b"), inputText="a"),  # noqa: S106
}
tell(boto3.__version__, answers, errors)
