"""How the tests run: the program under test, its sanitizer, time and memory limits that fit it, the seed.

MG_DEMO is the program (its path and first arguments), MG_MIX_GATE that with mix octets; MG_HEAVY=1 chooses the long variants; MG_SEED is the seed of random
cases; MG_TIME_SCALE is how much slower than an idle release build limits may be (found from the program when not set).
"""

import mmap
import os
import pathlib
import random
import re
import select
import shlex
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CERT, KEY = HERE / "certs" / "server.crt", HERE / "certs" / "server.key"
HEAVY = os.environ.get("MG_HEAVY", "") not in ("", "0")
SEED = int(os.environ.get("MG_SEED", "0")) or (time.time_ns() % 10**9 if HEAVY else 20240229)
MIB = 1024 * 1024


def heavy(light, long):
    """The size of a case: `light` in every run, `long` with MG_HEAVY=1."""
    return long if HEAVY else light


def rng(name):
    """A random source of one test; the seed is printed, MG_SEED replays it."""
    print(f"seed {SEED} ({name})", file=sys.stderr)
    return random.Random(f"{SEED}/{name}")


def demo(variable="MG_DEMO"):
    """The command that starts the demo server, or another that a variable names."""
    command = shlex.split(os.environ.get(variable, ""))
    if not command:
        sys.exit(f"{variable} is not set: the path of a program of the build")
    return command


def _sanitizer():
    """"address", "thread" or "": which sanitizer the program was built with."""
    path = demo()[0]
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            if text.find(b"__tsan_init") >= 0:
                return "thread"
            return "address" if text.find(b"__asan_init") >= 0 else ""


SANITIZER = _sanitizer()
SLOW = float(os.environ.get("MG_TIME_SCALE") or {"": 1.5, "address": 4, "thread": 10}[SANITIZER])
# What no log may hold.
REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|terminate called|Assertion")


def with_sanitizer_options(environment, options, variables=("ASAN_OPTIONS",)):
    """`environment` with more options for the sanitizers of a child, behind those that are there."""
    more = {name: ":".join(filter(None, [environment.get(name), options])) for name in variables}
    return {**environment, **more}


def limit(seconds):
    """A time limit for this build: `seconds` on an idle machine with a release build."""
    return seconds * SLOW


def rss_limit(mib):
    """Bytes that a growth of `mib` MiB may look like in this build (red zones and shadow memory of sanitizers)."""
    return int(mib * MIB) if not SANITIZER else int(mib * 3 * MIB) + 32 * MIB


def wait_for(condition, within, what):
    """Polls until `condition()` is true and returns its value; AssertionError `what` after `within` seconds."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:.1f} s: {what() if callable(what) else what}")
        pause(0.01)


def pause(seconds):
    """A pause that is the stimulus itself (a slow writer), or between two looks at /proc."""
    select.select([], [], [], seconds)
