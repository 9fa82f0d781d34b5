"""The pipeline from an event's records to a sink: read, embed, write, settle.

    pipeline.py          an event: its records in batches, its groups in their order
    objects.py           an object of S3: its lines shard by shard, the rest deferred when the time runs out
    document_objects.py  an object of S3 that is one document, whatever order its events arrive in
    writing.py           results to the sink; no chunk remains that its document does not have any more
    batching.py          records to results or failures, in calls of the service that take about a second
    splitting.py         long texts to chunks, which are records of their own
    settling.py          permanent failures to the failure destination
    groups.py            the messages that must wait for an earlier one of their group
    ports.py             the interfaces that a caller provides: sinks, the failure destination, the store of objects

Theory of operation

1. A source turns an event into contents, in the event's order: records, objects of S3 to read, messages to skip, and failures of
   messages that hold no record.
2. An event is read in batches: up to 1000 contents, or one object. Each batch is embedded, written and settled before the next one
   is read, so that memory is bounded, and finished batches are complete when the time runs out.
3. Every failure is either transient (no model, no time left, a sink that refuses for now) or permanent (no text, not JSON, an
   unknown prompt). A permanent failure is settled when the failure destination has recorded it. What is left is retried: every
   transient failure, and every permanent one that was not recorded. Without a failure destination that is every failure.
4. Messages of one group are written one after the other. A batch is therefore written in rounds: the first message of each group,
   then the second of each, and so on; messages without a group are all in the first round. As soon as one message of a group has to
   be retried, the group is closed: no later message of it is written in this event, and all of them are retried, in their order.
5. An object is written shard by shard. Only the bytes of the lines decide where a shard ends, so a retry makes the same shards, and
   does not write existing ones again. A shard's failures are settled before it is written, so every existing shard is complete.
   When the time runs out, the rest of the object is deferred: its offset is sent to the continuation queue. In three cases the
   object is retried instead: no progress was made (deferring without progress would loop for ever); the queue did not accept the
   message; or no time was left before the object was begun, and it is in a group, in which later messages would overtake it.
6. A record whose text is split is one document of several chunks, and has one outcome: if a chunk has no vector or is not written,
   the document fails, and is recorded or retried as a whole. A repeat writes the same ids again. writing.py explains how the chunks
   that a shorter version does not have are deleted; document_objects.py, why the order of S3's events does not matter.
7. The pipeline acknowledges nothing. It returns the failures to retry. The reply, which the source's row in handler/kinds.py names,
   reports their messages to the source: each of them, the first one of a stream, or all of them by an exception. The source
   delivers these again, and the other messages are done.

So nothing is lost: all contents are written, skipped, recorded by the failure destination, deferred, or retried.

Law: knows no source, no sink and no AWS. The caller passes them in.
"""
