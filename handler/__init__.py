"""Text to embeddings on AWS Lambda: the package that Lambda imports.

    functions/   one file per Lambda function
    http/        the wire: FastAPI, the dialects, errors to statuses
    doors.py     what each way in carries; without FastAPI, for the pipeline's sake
    encoding.py  vectors, and records with them, to bytes; likewise
    keys.py      who may call
    sinks/       where a pipeline's vectors go, and its failures
    sources/     where records come from: one file per event source
    pipeline/    contents of messages in, vectors to a sink, and back what is to be tried again
    parsing.py   fields to texts and options
    records.py   what flows through a pipeline: records, results, failures
    service.py   texts and options in, vectors out
    model_store.py  the model's folder: the layer, or /tmp for a model in S3
    bucket.py    objects of S3, read in several parts at the same time
    embedding/   texts to pooled vectors: manifest, tokenization, session, encoder
    cache/       cached pooled vectors: key, codec, memory, DynamoDB
    runtime_extension.py  work after the response
    aws.py       clients of AWS's APIs, and their errors
    bootstrap.py joins the parts; the only reader of settings
    snapshot.py  state that is renewed after a restore
    vectors.py   the types everything shares
    config.py, errors.py, prices.py, telemetry.py

Import law (checked by import-linter, see pyproject.toml): functions → http, bootstrap, sources, sinks → pipeline → service |
model_store → embedding | cache → config | errors | telemetry; never the other way. fastapi and mangum are imported only by http/
and functions/api.py, onnxruntime only by embedding/session.py, tokenizers only by embedding/tokenization.py
and truncation.py, botocore only by aws.py. Importing any module outside Lambda has no effect.
"""

VERSION = "0.1.0"
