"""The Lambda functions of template.yaml, and the handler of each kind of event (handler/kinds.py).

    api.py           the HTTP function
    pipeline.py      the pipeline function
    setup.py         the sink, the failure destination and the object store that the pipeline's settings name

    direct.py        {"inputs": …} and {"records": […]}: vectors in the response
    messages.py      event sources: vectors to the sink; the source delivers failed messages again
    enrichment.py    EventBridge Pipes: vectors in the response
    map_batch.py     Step Functions' Distributed Map: vectors to the sink, a receipt in the response

    dispatch.py      passes an event to the handler of its kind
    deadlines.py     the time limit of an event of the pipeline
    outcomes.py      results and failures as JSON, and the check that they fit into a response
    failures.py      the exceptions that a function raises
    request_log.py   a log line for each event

While Lambda loads a function, Python's garbage collector is off, until lambda_function (handler/bootstrap.py) turns it on. Imported
objects are never freed, and scanning them again and again would take a tenth of the cold start. Only this file and bootstrap.py
read the environment. The collector is turned off here, because most of the time is spent importing bootstrap.py.
"""

import gc
import os

if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    gc.disable()
