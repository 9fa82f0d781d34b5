"""S3: objects that were created or deleted, as S3 reports them itself or through EventBridge.

The invocation is asynchronous: Lambda retries it if the reply raises an exception.

IAM: s3:GetObject and s3:GetObjectVersion on the objects, s3:ListBucket on their bucket; sqs:SendMessage on the continuation queue.
S3 needs lambda:InvokeFunction.
"""

from collections.abc import Iterator

from handler.kinds import Event
from handler.records import Content, Origin
from handler.sources.envelopes import is_eventbridge, is_test, only_from, open_envelope


def matches(event: object) -> bool:
    """Return whether this is an event about objects of S3, or S3's test event."""
    if not isinstance(event, dict):
        return False
    return only_from(event, "eventSource", "aws:s3") or is_test(event) or (is_eventbridge(event) and event["source"] == "aws.s3")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the objects that an event reports."""
    return open_envelope(event, "s3", Origin("s3", event), text_field)
