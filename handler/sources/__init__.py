"""Event sources: one file each, named by its row in handler/kinds.py.

A source has three functions:

    matches(event)              True for its own events, and for no others
    records(event, text_field)  the contents of an event, in their order
    reply(to_retry)             the function's reply, or an exception, that has the messages of these failures delivered again

    sqs.py                             retries the messages that `batchItemFailures` names
    kinesis.py dynamodb.py kafka.py    retry a shard or partition from the first record that `batchItemFailures` names
    sns.py eventbridge.py s3.py        invoke asynchronously, and retry the event if the function raises
    pipes.py distributed_map.py direct.py    are answered with results or a receipt: they have no `reply`

What the sources share:

    reading.py          a record as JSON, a plain text, or an envelope of another service
    guarded.py          a record that cannot be read fails alone
    numbers.py          decimal numbers without losing a digit
    replies.py          replies, and the exception that has an event retried
    visibility.py       when failed messages of a queue are received again
    kpl.py              records that the Kinesis Producer Library aggregated
    files.py objects.py continuations.py    lines of files and of objects in S3, and their deferred rest

Each file says which rights its source needs.
"""
