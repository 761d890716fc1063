"""A process that looks up listed paths: ``warm.py STORE PAIRS SEED``. Prints the seconds of a call as one JSON object.

PAIRS has lines of path, tabulator, key. With PLEXINDEX_NO_ACCELERATOR, lookups go through ctypes.
"""

import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import peers, timing

store, pairs, seed = sys.argv[1:]
asked = [line.split("\t") for line in Path(pairs).read_text(encoding="utf-8").splitlines()]
random.Random(seed).shuffle(asked)  # noqa: S311
paths, keys = [path for path, _ in asked[: timing.MOST_TIMED]], [key for _, key in asked[: timing.MOST_TIMED]]
contender = peers.Plexindex(store)
seconds, answers = timing.mean_of_calls(contender.get, paths)
timing.check("plexindex", paths, answers, keys)
calls = timing.Figure.of(timing.each_call(contender.get, ((path,) for path in paths)))
contender.close()
print(json.dumps({"mean": seconds, "median": calls.median, "tail": calls.tail}))
