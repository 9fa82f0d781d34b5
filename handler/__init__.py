"""Text to embeddings on AWS Lambda: the package that Lambda imports.

    functions/   one file for each Lambda function
    kinds.py     the one table of events: which function takes an event, and how failures are reported
    http/        HTTP: FastAPI, the table of routes, the APIs it speaks, errors to statuses
    doors.py     the front doors and what each can carry; without FastAPI, because the pipeline imports it
    encoding.py  vectors, and records with them, to bytes; without FastAPI too
    keys.py      which keys are valid
    sinks/       where a pipeline writes vectors, and failures
    sources/     where records come from: one file for each event source
    pipeline/    read records, embed them, write the vectors, return what must be retried
    document_service.py  gives records that a search finds the model's prompt for documents
    search.py    asks an index of S3 Vectors; vector_index.py checks whether an index fits the model, for it and for the sink
    bedrock.py   the bodies of Amazon Bedrock, and in cohere.py those of Cohere, over HTTP and without it
    reranking.py how well documents fit a query, by a reranker or by similarity.py, which compares vectors
    prompts.py   which of the model's prompts a kind of text has
    parsing.py   fields to texts and options
    chunking.py  a long text to chunks that fit into the model; text_borders.py finds where paragraphs, sentences and words begin
    distinct_texts.py  the texts of a call without repetitions
    records.py   records, results and failures
    service.py   the interface between the above and the model; embedding_service.py and finishing.py implement it,
                 unloaded_service.py refuses requests if there is no model
    reranker.py  a second model, which scores pairs of texts; lazy_reranker.py loads it at its first use
    model_store.py  the model's folder: the layer, or /tmp for a model in S3
    bucket.py    objects of S3, read in several parts at the same time
    gunzip.py    gzip in bounded memory
    allocator.py memory that is free again, back to the system
    embedding/   texts to pooled vectors: manifest, tokenization, session, encoder
    cache/       cached pooled vectors: key, codec, memory, DynamoDB
    runtime_extension.py  work after the response
    aws.py       clients of AWS's APIs, and their errors
    bootstrap.py makes the service and the handler; the only reader of settings
    snapshot.py  state that is renewed after a restore
    vector_types.py  float32, int8, uint8, binary and ubinary vectors, and how the small ones are made
    vectors.py   the types everything shares
    config.py    the settings; pipeline_settings.py has those of a pipeline, environment.py checks the variables' values
    errors.py, prices.py, telemetry.py

Import law (checked by import-linter, see pyproject.toml): functions → http, bootstrap, sources, sinks → pipeline → service |
model_store → embedding | cache → config | errors | telemetry; never the other way. fastapi and mangum are imported only by http/
and functions/api.py, onnxruntime only by embedding/session.py, tokenizers only by embedding/tokenization.py
and truncation.py, botocore only by aws.py. Importing any module outside Lambda has no effect.
"""

VERSION = "0.1.0"
