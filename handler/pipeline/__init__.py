"""The one way of a pipeline: contents of messages in, vectors to a sink, and back what is to be tried again.

    messages.py  the contents of an event: embedded together, written, in the order of their groups
    objects.py   the lines of an object in S3, shard by shard, and its rest put off
    batching.py  records to results or failures, as many in a call as their time allows
    parts.py     what is handed in: sinks, a failure destination, objects

Law: knows no source, no sink and no AWS: they are handed in. Nothing is lost: whatever was read is written, kept by the failure
destination, or given back.
"""
