"""S3: objects that were created, as S3 reports them itself or through EventBridge.

The invocation is asynchronous: to retry it, the reply raises.

IAM: s3:GetObject and s3:GetObjectVersion on the objects, s3:ListBucket on their bucket; sqs:SendMessage on the continuation queue.
S3 needs lambda:InvokeFunction.
"""

from collections.abc import Iterator

from handler.kinds import Event
from handler.records import Content, Origin
from handler.sources.envelopes import is_eventbridge, is_test, only_from, open_envelope


def matches(event: object) -> bool:
    """Return whether S3 reports objects, or sends its test event."""
    if not isinstance(event, dict):
        return False
    return only_from(event, "eventSource", "aws:s3") or is_test(event) or (is_eventbridge(event) and event["source"] == "aws.s3")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """Yield the objects."""
    return open_envelope(event, "s3", Origin("s3", event), text_field)
