"""Vectors remembered, so that a text that comes again costs no encoding.

    vector_cache.py  all of it as one: memory, then the table; vectors in, vectors out
    key.py           what decides a vector → its key
    codec.py         vector ↔ row
    memory.py        rows in this process
    table.py         what is asked of a table
    dynamodb.py      rows in DynamoDB
    breaker.py       when to leave a failing store alone
    policy.py        which texts the table is for
    cost.py          what the table costs and saves

Law: knows nothing of models or HTTP, and never fails a request: whatever happens to a store is a miss. botocore is imported in
dynamodb.py alone, and that only where a table is configured.
"""
