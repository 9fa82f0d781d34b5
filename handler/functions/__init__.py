"""One file per Lambda function in template.yaml.

Under Lambda, Python's garbage collector rests from here on, until the function is loaded and lambda_function (handler/bootstrap.py)
wakes it: what is imported stays, so all that it finds by looking through it time and again is a tenth of the cold start.
The one look at the environment outside bootstrap.py, whose imports are what it is for.
"""

import gc
import os

if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    gc.disable()
