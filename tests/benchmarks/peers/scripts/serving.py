"""The loop that every contender runs: texts in, seconds out, a JSON line each.

Law: the standard library and numpy, since every contender's environment has only its own libraries beside them.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

import numpy as np


def serve(load):
    """Load a model with `load(folder, threads)`, which returns texts → array (texts, numbers), and answer until the input ends.

    A request is `{"texts": […], "times": n}` or `{"texts": […], "save": path}`; the answer has `seconds`, one for each time.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    folder, threads = sys.argv[1], int(sys.argv[2])
    embed = load(folder, threads)
    numbers = np.asarray(embed(["A first text."])).shape
    print(json.dumps({"numbers": numbers[1]}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = []
        for _ in range(asked.get("times", 1)):
            started = time.perf_counter()
            vectors = embed(asked["texts"])
            seconds.append(time.perf_counter() - started)
        if "save" in asked:
            np.save(asked["save"], np.asarray(vectors, np.float32))
        print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}), file=answers, flush=True)


def peak_mb():
    """Return the most memory of this process. Linux's ru_maxrss would count the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)[1]) / 1024
