"""S3: objects made, as S3 itself tells of them or through EventBridge. Asynchronous: what is left over has the event come again.

IAM: s3:GetObject and s3:GetObjectVersion on the objects, s3:ListBucket on their bucket; sqs:SendMessage on the continuation queue.
S3 may invoke the function.
"""

from collections.abc import Iterator, Sequence

from handler.kinds import Event
from handler.records import Content, Failure, Origin
from handler.sources.reading import is_eventbridge, is_test, opened
from handler.sources.replies import of_one_kind, raised


def matches(event: object) -> bool:
    """Whether S3 tells of objects, or tries whether it can."""
    if not isinstance(event, dict):
        return False
    return of_one_kind(event, "eventSource", "aws:s3") or is_test(event) or (is_eventbridge(event) and event["source"] == "aws.s3")


def records(event: Event, text_field: str) -> Iterator[Content]:
    """The objects."""
    return opened(event, "s3", Origin("s3", event), text_field)


def reply(back: Sequence[Failure]) -> None:
    """Nothing, or an exception."""
    raised(back)
