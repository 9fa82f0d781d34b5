"""A topic gets one message for each failure, in batches that SNS accepts."""

from events.aws import LocalAWS
from handler.records import Failure
from handler.sinks import failure_destination_from
from tests.handler.sinks.queues import arn_of, new_queue, received


def test_each_failure_becomes_a_message_of_the_topic(aws: LocalAWS) -> None:
    """12 messages take two calls: one call carries ten."""
    sqs, sns = aws.client("sqs"), aws.client("sns")
    url = new_queue(sqs)
    topic = sns.create_topic(Name="failures")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(sqs, url), Attributes={"RawMessageDelivery": "true"})
    failed = [(Failure(str(number), "No.", "Validation", transient=False), {"id": number}) for number in range(12)]
    assert failure_destination_from(topic).write(failed) == []
    assert len(list(received(sqs, url))) == 12


def test_failures_that_a_topic_does_not_accept_are_returned_to_be_retried(aws: LocalAWS) -> None:
    """A missing topic may be created later."""
    del aws
    failed = [(Failure("a", "No.", "Validation", transient=False), "a record")]
    (failure,) = failure_destination_from("arn:aws:sns:us-east-1:123456789012:missing").write(failed)
    assert failure.transient
    assert failure.error.startswith("No. (and: The topic missing did not accept it: ")
