"""The pipeline's setup, made once, in the init phase: the sink, the failure destination and the object store of its settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

from handler.chunking import Chunking
from handler.document_service import DocumentService
from handler.embedding.manifest import Manifest
from handler.errors import Backend
from handler.pipeline.ports import FailureDestination, Float32Only, ModelBound, ObjectStore, OneVectorOnly, Sink
from handler.pipeline_settings import PipelineSettings
from handler.service import Service
from handler.sinks import failure_destination_from, sink_from
from handler.sources.continuations import make_object_store
from handler.sources.queue_visibility import GiveBack, make_give_back
from handler.vector_types import FLOAT32

BATCH_SINK = "BatchInput.sink"


@dataclass(frozen=True, slots=True)
class Setup:
    """The pipeline's settings, and the objects that are made from them.

    `named_sink` makes the sink that a batch of Step Functions names. `give_back` makes failed messages of a queue visible again
    before the queue's visibility time-out is over.
    """

    settings: PipelineSettings
    sink: Sink | None
    destination: FailureDestination | None
    objects: ObjectStore
    named_sink: Callable[[str], Sink]
    give_back: GiveBack = lambda _, __: None

    @property
    def text_field(self) -> str:
        """The field that holds a record's text."""
        return self.settings.text_field

    @property
    def chunking(self) -> Chunking:
        """The options of splitting of records that have none of their own."""
        return self.settings.chunking

    def service_of_records(self, service: Service) -> Service:
        """Return the service for records that are written to the sink: those of a search get the model's prompt for documents."""
        return DocumentService(service) if self.settings.search_index_arn else service

    @classmethod
    def of(cls, environment: Mapping[str, str], model: Callable[[], Manifest] | None = None) -> Self:
        """Read the settings from the environment, and make what they name.

        Args:
            environment: the settings.
            model: returns the model's manifest; None leaves out the check that a sink has vectors of this model.

        Raises:
            Backend: a setting cannot be used; the sentence has its name and its value.
        """
        settings = PipelineSettings.from_environment(environment)
        destination = settings.failure_destination

        def check(sink: Sink, name: str) -> Sink:
            if model and isinstance(sink, ModelBound):
                sink.check_model(model, settings.search_index_arn)
            return _check_sink(sink, settings, name)

        @cache
        def named_sink(uri: str) -> Sink:
            settings.check_output(BATCH_SINK, uri)
            return check(sink_from(uri, BATCH_SINK, output_dtype=settings.output_dtype), f"{BATCH_SINK} {uri}")

        sink = None
        if settings.sink:
            sink = check(sink_from(settings.sink, output_dtype=settings.output_dtype), f"SINK {settings.sink}")
        searched = settings.search_index_arn
        if searched and isinstance(sink, ModelBound) and sink.arn not in {"", searched}:
            msg = f"SINK is the index {sink.arn}, and SEARCH_INDEX_ARN is {searched}: a search would find nothing. Name one index"
            raise Backend(msg)
        return cls(
            settings,
            sink,
            failure_destination_from(destination) if destination else None,
            make_object_store(settings),
            named_sink,
            make_give_back(),
        )


def _check_sink(sink: Sink, settings: PipelineSettings, name: str) -> Sink:
    """Return a sink that takes vectors of the deployment's type, and all chunks of its texts.

    Raises:
        Backend: it takes float32 vectors only, or one vector for each record.
    """
    if isinstance(sink, Float32Only) and settings.output_dtype != FLOAT32.name:
        msg = (
            f"{name} takes float32 vectors only, and OUTPUT_DTYPE is {settings.output_dtype}: "
            "remove OUTPUT_DTYPE, or name another sink"
        )
        raise Backend(msg)
    if isinstance(sink, OneVectorOnly) and settings.chunking.tokens:
        msg = (
            f"{name} takes one vector for each record, and CHUNK_TOKENS is {settings.chunking.tokens}: "
            "remove CHUNK_TOKENS, or name another sink"
        )
        raise Backend(msg)
    return sink
