"""Event sources: one file each, named by its row in handler/kinds.py.

A source has two functions:

    matches(event)              returns True for its own events, and for no others
    records(event, text_field)  yields the contents of an event, in their order

Its row also names the reply, which makes the source deliver failed messages again:

    sqs.py                             `batchItemFailures` names each message to retry
    kinesis.py dynamodb.py             `batchItemFailures` names the first record, from which the stream is read again
    kafka.py                           `batchItemFailures` names the first offset of each partition
    sns.py eventbridge.py s3.py        an exception, because asynchronous invocations are retried if the function raises
    pipes.py distributed_map.py direct.py    none: the response has the results, or a receipt

The sources share these modules:

    record_parsing.py    a record from its fields
    envelopes.py         a message's body: a record, a plain text, or an envelope of another service
    isolation.py         a record that cannot be read does not fail the others
    exact_numbers.py     numbers that keep every digit
    replies.py           the replies that report failures to a source
    queue_visibility.py  the back-off before failed messages of a queue are received again
    kpl.py               aggregated records of the Kinesis Producer Library
    files.py             records of JSONL, CSV and plain text; file_lines.py reads their lines
    documents.py         files that are one record: Markdown, HTML and plain text; html_text.py reads HTML
    s3_objects.py        objects of S3, read in parts
    whole_objects.py     objects of S3 that are one document
    continuations.py     objects for the pipeline, and the queue to which their rest is deferred

Each file lists the rights that its source needs.
"""
