"""Events as AWS sends them, and the ways to send events from a laptop. Not shipped to Lambda.

http_api_v2.json, rest_v1.json, function_url.json, alb.json, direct.json, records.json
sqs.json, sqs_fifo.json, sns.json, eventbridge.json, kinesis.json, kinesis_aggregated.json, dynamodb.json, kafka.json, s3.json,
s3_eventbridge.json, s3_test.json, pipes.json, distributed_map.json
    One event for each source, for `make invoke EVENT=events/NAME.json` and for `sam local invoke -e`. The HTTP function takes those
    in the first line, the pipeline function the others.
http_api
    An HTTP request to an API Gateway event, and the response back: pure functions.
serve
    `python -m events.serve`: an HTTP server on this machine, which calls the Lambda handler.
emulator
    AWS's Runtime Interface Emulator around a handler, for a `with` block.
invoke
    `python -m events.invoke events/NAME.json`: one event through the emulator.
embed
    `python -m events.embed IN OUT`: a file of texts to a file of vectors, by the code of the pipeline function.
search
    `python -m events.search IN Q`: a question to a file of vectors, and the passages that answer it best.
smoke, redrive
    `python -m events.smoke STACK` tries a deployed stack; `python -m events.redrive STACK` puts back its dead letters.
aws, dynamodb
    AWS's APIs on this machine (moto), for `make run CACHE=dynamodb`, for events that name them, and for tests.

Law: these modules call the handler as Lambda does, by its name and with an event, and import nothing else of it. There are three
exceptions: embed and search have no event and use the pipeline's own code and its service, and invoke looks up the function of an
event in handler/kinds.py.
"""
