"""The interpreter's end, while threads are inside of calls: no crash, no waiting without end.

Before CPython 3.14 the finalizer ends each other thread where that takes the interpreter's lock next. In a callback
that is amid the library's frames, which no thread can leave in that way: the process would abort.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import plexindex
import pytest
from conftest import Server, run

# The finalizer, kept busy with the lock released: whatever would end a thread ends it now. It waits for a lock that it
# has itself, as `time.sleep` needs what Windows' finalizer has closed.
BUSY = """
import os, sys, threading, time
import plexindex

class Busy:
    def __init__(self):
        self.taken = threading.Lock()
        self.taken.acquire()

    def __del__(self, finalizing=sys.is_finalizing, say=os.write):
        if finalizing():
            say(1, b"busy")
            self.taken.acquire(timeout=0.5)

# In a module of its own: what the threads can reach does not go.
sys.modules["busy"] = type(sys)("busy")
sys.modules["busy"].one = Busy()
url, token, folder = sys.argv[1:]
inside = threading.Event()
index = plexindex.open(folder, server_url=url, token=token, page_size=30)
def told(_):
    inside.set()
"""

# Each is what a daemon thread does; main ends as soon as `inside` is set.
MODES = {
    "a fetch": "index.library('Movies').refresh(full=True, progress=told)",
    "a callback that is Python all the time": """
def told(_):
    inside.set()
    sum(range(10_000))
    for _ in range(3):
        time.sleep(0.01)
index.library('Movies').refresh(full=True, progress=told)
""",
    "one call after another": """
def calls():
    while True:
        try:
            index.library('Movies').refresh(full=True, progress=told)
        except plexindex.AbortedError:
            pass
calls()
""",
    "log lines": """
import logging
logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, 'w'))
own = plexindex.open(folder, server_url=url, token=token, page_size=30)
while True:
    own.record_match(f'/{time.monotonic()}', 7, 'TV Shows') if inside.is_set() else own.libraries()
    inside.set()
""",
}


def program(work: str, threads: int = 1, end: str = "") -> str:
    body = "\n".join(f"    {line}" for line in work.strip().splitlines())
    # What such a thread raises at the end is its own affair, and would only be printed.
    quiet = "threading.excepthook = lambda _: None\n"
    start = f"for _ in range({threads}): threading.Thread(target=work, daemon=True).start()"
    return f"{BUSY}\n{quiet}def work():\n{body}\n{start}\nassert inside.wait(30)\n{end}"


def end_of(code: str, server: Server, folder: Path) -> tuple[int, str]:
    done = run(sys.executable, "-c", code, server.url, server.token, folder, stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr


def test_a_callback_that_takes_longer_than_the_hook_waits(slow_server: Server, tmp_path: Path) -> None:
    # Its thread sleeps from then on: whatever it holds stays as it is, and the end of the process takes it all.
    code = program(MODES["a callback that is Python all the time"], end="plexindex._core.callbacks.PATIENCE = 0")
    assert end_of(code, slow_server, tmp_path) == (0, "")


def test_a_process_ends_while_threads_are_inside_of_calls(slow_server: Server, tmp_path: Path) -> None:
    runs = [(mode, threads) for mode in MODES for threads in (1, 4)] * int(os.environ.get("PLEXINDEX_EXITS", "1"))

    def end(number: int) -> tuple[int, str]:
        mode, threads = runs[number]
        return end_of(program(MODES[mode], threads), slow_server, tmp_path / str(number))

    with ThreadPoolExecutor(6) as pool:
        ended = zip(runs, pool.map(end, range(len(runs))))
        assert [one for one in ended if one[1] != (0, "")] == []


def test_a_daemon_thread_s_watch_ends_in_silence(server: Server, tmp_path: Path) -> None:
    work = "def work():\n    for _ in index.watch():\n        inside.set()"
    start = "threading.Thread(target=work, daemon=True).start()\nassert inside.wait(30)"
    assert end_of(f"{BUSY}\n{work}\n{start}", server, tmp_path) == (0, "")


def test_running_calls_end_before_the_host_s_own_exit_hooks(slow_server: Server, tmp_path: Path) -> None:
    # Hooks that were registered before plexindex was imported run after its own.
    count = "atexit.register(lambda: os.write(1, b'%d inside' % len(plexindex._core.callbacks.running())))"
    code = f"import atexit, os\n{count}\n{program(MODES['a fetch'])}"
    done = run(sys.executable, "-c", code, slow_server.url, slow_server.token, tmp_path, stdin=subprocess.DEVNULL)
    assert "0 inside" in done.stdout


# Ways to leave while an index is open, a watch runs, and a thread may be inside of a call.
ENDS = {
    "returns": "",
    "os._exit": "os._exit(0)",
    "os._exit amid a fetch": """
threading.Thread(target=lambda: index.library('Movies').refresh(full=True, progress=told), daemon=True).start()
assert inside.wait(30)
os._exit(0)""",
    "os._exit in a callback": "index.library('Movies').refresh(full=True, progress=lambda _: os._exit(0))",
    "a thread that died": """
def die():
    index.library('Movies').record_match('/host/thread.mkv', 7)
    raise SystemExit
thread = threading.Thread(target=die)
thread.start()
thread.join()""",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_process_may_leave_at_any_time_with_a_watch_running(
    server: Server, row: dict[str, str], tmp_path: Path, end: str
) -> None:
    key = row["ratingKey"]
    begin = f"watch = index.watch()\nwatch.start()\nindex.library('Movies').record_match('/host/a.mkv', {key!r})"
    code = f"{BUSY}\n{begin}\n{ENDS[end]}"
    assert end_of(code, server, tmp_path) == (0, "")
    with plexindex.open(tmp_path, server_url=server.url, token=server.token) as index:
        movies = index.library("Movies")
        assert movies.match("/host/a.mkv").match_kind == "confirmed"
        assert movies.match(row["path"]).rating_key == key
