"""A cache of vectors: a text is not encoded again while its vector is cached.

    vector_cache.py  the whole cache: this process's memory, then the table
    key.py           everything that decides a vector → its key
    codec.py         vector ↔ row
    memory.py        rows in this process's memory
    table.py         the interface of a table, and the table of a deployment that has none
    dynamodb.py      rows in DynamoDB
    breaker.py       a circuit breaker for a failing table
    policy.py        decides which texts use the table
    cost.py          what the table costs and saves
    metrics.py       the metrics of each request's use of the cache

Law: knows nothing of models or HTTP, and never fails a request: any failure of a table is a cache miss. Only dynamodb.py uses AWS's
library, and it is only imported if a table is configured.
"""
