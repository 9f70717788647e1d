"""the toolbox (formulas, conversions, tokens, log, tasks) beside the libraries it is measured against

Nanoseconds for one operation; the yardstick's in the same run, in turns.
"""

import json
import subprocess

import harness


def run(context):
    command = [str(context.program("bench/utils_bench"))] + (["--quick"] if context.quick else [])
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                             preexec_fn=lambda: harness._in_child(context.load_cpus))
    try:
        for line in child.stdout:
            row = json.loads(line)
            if context.wanted(row["name"]):
                yield harness.Row(row["name"], row["values"], "ns", row["yardstick"] or None, bar=row["bar"] or None)
        if child.wait() != 0:
            raise harness.BenchError(f"{command[0]} ended with code {child.returncode}")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
