"""Keep an index with passages of Python's documentation until the standard input is closed: `python -m tests.search.standing`.

It prints one line: the variables with which the handler finds the index. The tests of the page run the handler in another process.
"""

import json
import sys

from events.aws import LocalAWS
from handler.bootstrap import load_service
from handler.chunking import Chunking
from handler.service import Options
from tests.retrieval.corpus import documents
from tests.search.indexes import create_index
from tests.search.vectors_front import VectorsFront

TOPICS = {"assert": 12, "assignment": 12, "async": 0, "atom-literals": 12, "break": 0}
"""The overlap of each topic's chunks, in tokens."""
TOKENS = 64


def main() -> None:
    """Split and embed the topics, put them into an index, and print where it is."""
    service = load_service({"MODEL_DIR": "build/model"})
    with LocalAWS() as aws, VectorsFront(aws) as front:
        index = create_index(front)
        for name, overlap in TOPICS.items():
            document = documents()[name]
            chunks = service.chunks_of(document.text, Options(), Chunking(TOKENS, overlap))
            texts = [document.text[chunk.start : chunk.end] for chunk in chunks]
            vectors = service.embed(texts, Options()).vectors
            for number, (chunk, text, vector) in enumerate(zip(chunks, texts, vectors, strict=True)):
                place = {"document": name, "chunk": number, "start": chunk.start, "end": chunk.end}
                index.put((f"{name}#{number}", vector, {"title": document.title, "text": text, **place}))
        print(json.dumps({"SEARCH_INDEX_ARN": index.arn, **front.environment}), flush=True)  # noqa: T201 - see above
        sys.stdin.read()


if __name__ == "__main__":
    main()
