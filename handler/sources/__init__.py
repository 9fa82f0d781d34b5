"""Event sources: one file each, named by its row in handler/kinds.py.

A source has two functions:

    matches(event)              True for its own events, and for no others
    records(event, text_field)  the contents of an event, in their order

Its row also names the reply that has failed messages delivered again:

    sqs.py                             `batchItemFailures` names each message to retry
    kinesis.py dynamodb.py             `batchItemFailures` names the first record, from which the stream is read again
    kafka.py                           `batchItemFailures` names the first offset of each partition
    sns.py eventbridge.py s3.py        an exception: they invoke the function asynchronously, and retry the event if it raises
    pipes.py distributed_map.py direct.py    none: the response has the results, or a receipt

What the sources share:

    record_parsing.py    a record from its fields
    envelopes.py         a message's body: a record, a plain text, or an envelope of another service
    isolation.py         a record that cannot be read fails alone
    exact_numbers.py     numbers that keep every digit
    replies.py           how a source learns what to retry
    queue_visibility.py  when failed messages of a queue are received again
    kpl.py               aggregated records of the Kinesis Producer Library
    files.py             records of JSONL, CSV and plain text; file_lines.py reads their lines
    s3_objects.py        objects of S3, read in parts
    continuations.py     objects for the pipeline, and the queue to which their rest is deferred

Each file says which rights its source needs.
"""
