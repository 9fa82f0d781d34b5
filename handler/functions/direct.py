"""Plain invocations, which every function answers with vectors in its response.

They are `{"inputs": …}`, `{"records": […]}` and the bodies of Amazon Bedrock: `{"inputText": …}` and `{"texts": […]}`.

Law: knows nothing of HTTP frameworks, which the pipeline must not import.
"""

from typing import Protocol

from handler import bedrock
from handler.bootstrap import Handler
from handler.chunking import Chunking
from handler.doors import DIRECT, remaining_ms
from handler.encoding import encode_vectors, largest_row
from handler.errors import naming
from handler.functions.outcomes import encode_outcomes, outcome_bytes
from handler.kinds import Context, Event, Kind
from handler.parsing import check_batch, embedding_request
from handler.pipeline.batching import embed_contents
from handler.pipeline.splitting import split_records
from handler.service import Service
from handler.sources import direct


class Setup(Protocol):
    """The part of a function's setup that plain invocations need."""

    @property
    def text_field(self) -> str:
        """The field that holds a record's text."""
        ...

    @property
    def chunking(self) -> Chunking:
        """The options of splitting of records that have none of their own."""
        ...


def make_handler(service: Service, setup: Setup, kind: Kind) -> Handler:
    """Make the handler of plain invocations."""
    del kind

    def handle(event: Event, context: Context) -> bytes:
        deadline = DIRECT.deadline({}, remaining_ms(context))
        # Lambda's runtime passes bytes on unchanged. It would encode an object once more, which takes seven times as long.
        if "inputs" in event:
            return _embed_inputs(event, service, deadline)
        if "records" in event:
            return _embed_records(event, service, setup, deadline)
        return bedrock.invoke(
            event, service, DIRECT.check_response, lambda texts, options: service.embed(texts, options, deadline)
        ).content

    return handle


def _embed_inputs(event: Event, service: Service, deadline: float) -> bytes:
    """Return the vectors of `inputs` as JSON.

    Raises:
        EmbeddingError: a vector cannot be made.
    """
    request = embedding_request(event, service.settings.max_client_batch_size)
    DIRECT.check_response(len(request.texts), largest_row(request, service))
    with naming(("inputs", len(request.texts))):
        embeddings = service.embed(request.texts, request.options, deadline)
    return encode_vectors(embeddings.vectors, request.encoding_format)


def _embed_records(event: Event, service: Service, setup: Setup, deadline: float) -> bytes:
    """Return a result or a failure for each of `records` as JSON.

    Raises:
        Validation: `records` is not a list, or has too many records.
    """
    records = list(direct.records(event, setup.text_field))
    check_batch(service.settings.max_client_batch_size, len(records))
    contents = split_records(service, records, setup.chunking, deadline)
    DIRECT.check_response(len(contents), outcome_bytes(service, contents), "records")
    return encode_outcomes(embed_contents(service, contents, deadline))
