"""Long-lived processes that work on command and sleep otherwise.

A worker reads commands from its standard input, one line of JSON per command, and answers with
one line per command. The standard library alone, for the processes live in different environments.
"""

import json
import os
import statistics
import subprocess
import sys
import time


class Worker:
    """Starts a worker process and sends it commands.

    Args:
        python: The interpreter of the worker's environment.
        script: The script that it runs.
        threads: How many threads its libraries may use.
    """

    def __init__(self, python, script, threads):
        names = ("OMP", "MKL", "OPENBLAS", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
        limits = {
            f"{name}{'_' if name.startswith('TF') else '_NUM_'}THREADS": str(threads)
            for name in names
        }
        self.process = subprocess.Popen(
            [str(python), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **limits, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.versions = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, command, **arguments):
        """Sends a command and waits for its answer; an error comes back as `{"error": text}`."""
        print(json.dumps({"command": command, **arguments}), file=self.process.stdin, flush=True)
        return self._answer()

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def serve(prepare, versions):
    """Answers commands in the worker process until its standard input ends.

    Args:
        prepare: Takes a strategy's name and a number of tasks, and returns a function that takes
            one training step, the first predictions, and a remark.
        versions: The versions to report at the beginning.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    print(json.dumps(versions), file=answers, flush=True)
    step = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if command["command"] == "prepare":
                step = None  # frees the last one
                step, predictions, remark = prepare(command["name"], command["tasks"])
                answer = {"predictions": predictions, "remark": remark}
            else:
                answer = {"seconds": timed(step, command["steps"])}
        except Exception as error:  # one strategy may fail, the others go on
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def timed(step, count):
    """Measures the seconds per step of `count` steps, after one that wakes the threads."""
    step()
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def fastest(ways, steps=7):
    """Finds the fastest of several ways; returns its name and step. Ways that raise are skipped."""
    medians, errors = {}, []
    for name, step in ways.items():
        try:
            for _ in range(3):
                step()
            medians[name] = statistics.median(timed(step, 1) for _ in range(steps))
        except Exception as error:
            errors.append(error)
    if not medians:
        raise errors[0]
    best = min(medians, key=medians.get)
    return best, ways[best]
