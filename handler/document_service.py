"""A service for texts that are documents of a search: models can have one prompt for queries and another for documents.

Law: only chooses the prompt; knows nothing of events, sinks and HTTP.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from handler.chunking import Chunk, Chunking
from handler.prompts import prompt_for
from handler.service import Embeddings, Options, Service
from handler.vectors import NEVER, Vectors


class DocumentService:
    """A service that gives a text the model's prompt for documents, if its options name no prompt."""

    def __init__(self, service: Service) -> None:
        """Embed with `service`, and take everything else from it."""
        self._service = service

    def embed(self, texts: Sequence[str], options: Options, deadline: float = NEVER) -> Embeddings[Vectors]:
        """Embed each document as one vector."""
        return self._service.embed(texts, self._prompted(options), deadline)

    def chunks_of(self, text: str, options: Options, chunking: Chunking, deadline: float = NEVER) -> list[Chunk]:
        """Return the chunks of a document; the prompt counts."""
        return self._service.chunks_of(text, self._prompted(options), chunking, deadline)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any other member of the service
        """Return another member of the service."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._service, name)

    def _prompted(self, options: Options) -> Options:
        name = prompt_for("document", self._service.manifest.prompts) if options.prompt_name is None else None
        return options if name is None else replace(options, prompt_name=name)
