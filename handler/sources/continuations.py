"""Objects of S3 as the pipeline reads them, and the queue that what is left of one is put off to.

IAM: s3:GetObject and s3:GetObjectVersion on the objects; sqs:SendMessage on the continuation queue.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from handler import telemetry
from handler.aws import Client, connect, error_name
from handler.config import PipelineSettings, overlap
from handler.pipeline import Line, Objects
from handler.records import StoredObject
from handler.sources.objects import lines
from handler.sources.reading import continuation_of, record_of

READ_SECONDS, ATTEMPTS = 10, 3


def objects_of(settings: PipelineSettings) -> Objects:
    """How objects are read, put off and told from this pipeline's own output, by these settings."""
    client = cache(partial(connect, read_seconds=READ_SECONDS, attempts=ATTEMPTS))
    outputs = [f"{place.partition('?')[0].rstrip('/')}/" for place in settings.outputs.values() if place.startswith("s3://")]
    return Objects(
        lines=lambda stored: ...,
        put_off=...,
        is_output=lambda stored: any(stored.uri.startswith(place) for place in outputs),
    )
