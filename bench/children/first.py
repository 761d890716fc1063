"""A new process that asks one question: ``first.py CONTENDER FOLDER PATH KEY``. Prints nanoseconds of each step.

CONTENDER is a class of `harness/peers.py`, or ``nothing``.
"""

import sys
from time import perf_counter_ns as now

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from harness import peers

kind, folder, path, expected = sys.argv[1:]
begun = opened = answered = closed = now()
answer: object = expected
if kind != "nothing":
    contender = getattr(peers, kind)(folder)
    opened = now()
    answer = contender.get(contender.before_path, path) if contender.before_path else contender.get(path)
    answered = now()
    contender.close()
    closed = now()
if answer != expected:
    sys.exit(f"{kind} answered {answer!r}, and {expected!r} is right")
print(f'{{"import and open":{opened - begun},"answer":{answered - opened},"close":{closed - answered}}}')
