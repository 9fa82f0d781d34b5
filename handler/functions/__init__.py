"""The Lambda functions of template.yaml, and what handles each kind of event (handler/kinds.py) in them.

    api.py           the HTTP function
    pipeline.py      the pipeline function
    setup.py         what the pipeline's settings name: sinks, failure destination, objects

    direct.py        {"inputs": …} and {"records": […]}: vectors in the response
    messages.py      event sources: vectors to the sink, failures back to the source
    enrichment.py    EventBridge Pipes: vectors in the response
    map_batch.py     Step Functions' Distributed Map: vectors to the sink, a receipt in the response

    dispatch.py      an event to the handler of its kind
    outcomes.py      results and failures as JSON, and whether they fit into a response
    failures.py      the names under which failures leave a function
    request_log.py   a log line for each event

While Lambda loads a function, Python's garbage collector is off, until lambda_function (handler/bootstrap.py) turns it on: what is
imported stays, so looking through it again and again would be a tenth of the cold start. This is the only look at the environment
outside of bootstrap.py: the imports of that module are what takes the time.
"""

import gc
import os

if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    gc.disable()
