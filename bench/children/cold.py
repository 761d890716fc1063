"""A new process asks a store that is empty: ``cold.py STORE PATH KEY``. Prints nanoseconds by the wall clock, and of
the processor for this process alone.

PLEX_URL and PLEX_TOKEN name the server. ``ctypes`` is imported before the clocks start, as in ``first.py``.
"""

import ctypes  # noqa: F401
import os
import sys
from time import perf_counter_ns, process_time_ns

store, path, expected = sys.argv[1:]
begun, worked = perf_counter_ns(), process_time_ns()
import plexindex  # noqa: E402

with plexindex.open(store, os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"]) as index:
    found = index.match(path, deadline=30)
    answered, own = perf_counter_ns() - begun, process_time_ns() - worked
if found.key != expected:
    sys.exit(f"plexindex answered {found!r}, and {expected!r} is right")
print(f'{{"wall":{answered},"own":{own}}}')
