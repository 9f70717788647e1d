"""Compiles a file of mistakes once and checks that each line marked `// expect: WORDS` gets an error with these words.

    check.py FILE COMPILER ARGUMENTS...

An error belongs to the line of FILE that it or the last of its notes on instantiation names; one without such notes to
the line of the error before, whose notes clang does not repeat. A line without the mark must get none.
"""
import collections
import re
import subprocess
import sys


def main():
    source, command = sys.argv[1], sys.argv[2:] + [sys.argv[1]]
    run = subprocess.run(command, capture_output=True, text=True, timeout=170, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    expected = {}
    for number, line in enumerate(open(source, encoding="utf-8"), 1):
        if mark := re.search(r"// expect: (.*)", line):
            expected[number] = mark.group(1).strip()

    errors = collections.defaultdict(list)  # line -> texts
    place = re.compile(re.escape(source) + r":(\d+):\d+: ")
    text, line, before, last = None, None, None, None

    def close():
        nonlocal last
        if text is not None:
            last = line or last
            errors[last].append(text)

    for out in run.stderr.splitlines():
        at = place.match(out)
        if ": error: " in out or ": fatal error: " in out:
            close()
            text, line = out, int(at.group(1)) if at else before
            before = None
        elif at and "required from" in out:  # gcc says this before the error.
            before = int(at.group(1))
        elif text is not None and at and "requested here" in out:  # clang says this after it.
            line = int(at.group(1))
    close()

    wrong = []
    for number, words in expected.items():
        if not any(words in text for text in errors.get(number, [])):
            wrong.append(f"{source}:{number}: expected an error with: {words}\n  got: {errors.get(number, 'none')}")
    for number, texts in errors.items():
        if number not in expected:
            wrong.append(f"{source}:{number}: expected none, got: {texts}")
    if not expected:
        wrong.append(f"{source}: no line is marked")
    print("\n".join(wrong) if wrong else f"{len(expected)} mistakes are refused with the right words")
    if wrong:
        print(run.stderr[-20000:])
    return 1 if wrong else 0


sys.exit(main())
