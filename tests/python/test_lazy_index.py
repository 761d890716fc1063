"""An index of which only fast lookups and known matches were asked: it is the index for all that a host can tell.

Each in a process of its own, since an index is opened that way only where nothing else was loaded before.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TOKEN, OpenIndex, Server, run_python
from plexindex._core import accelerator as _accelerator

pytestmark = pytest.mark.skipif(
    _accelerator.load() is None or not hasattr(_accelerator.load(), "symbol"), reason="there is no accelerator"
)

BEGIN = """
import sys
import plexindex
folder, url, token, path, key, other = sys.argv[1:]
index = plexindex.open(folder, url, token)
movies = index.library("Movies")
light = type(index).__name__ == "LazyIndex"
"""


@pytest.fixture
def store(open_index: OpenIndex, server: Server, cache: Path) -> tuple[str, ...]:
    """A store that was fetched: what a process is told of it."""
    with open_index() as index:
        index.refresh()
    rows = server.paths(1)
    key = f"/library/metadata/{rows[0]['ratingKey']}"
    return str(cache), server.url, TOKEN, rows[0]["path"], key, rows[1]["path"]


def run(code: str, store: tuple[str, ...]) -> list[str]:
    return run_python(BEGIN + code, *store).split("\n")[:-1]


def test_the_first_answers_load_neither_ctypes_nor_the_rest(store: tuple[str, ...]) -> None:
    printed = run(
        "found = movies.match(path)\n"
        "print(light, movies.lookup_key(path) == key, movies.lookup_keys([path, '/nowhere']) == [key, None])\n"
        "print(found.key == key, found.title != '', bool(found), type(index).__name__)\n"
        "index.close()\n"
        "heavy = ('ctypes', '_ctypes', '_struct', 'json', 're', '__future__')\n"
        "loaded = [name for name in sys.modules if name.partition('.')[0] in heavy]\n"
        "print(loaded, [name for name in sys.modules if name in ('plexindex.index', 'plexindex._core.many')])\n",
        store,
    )
    assert printed == ["True True True", "True True True LazyIndex", "[] []"]


@pytest.mark.parametrize(
    "wish",
    [
        "isinstance(index, plexindex.Index) and isinstance(movies, plexindex.Library)",
        "index.match(path, movies).key == key",
        "movies.match(path, offline=True).key == key",
        "movies.match(path.encode()).key == key",
        "movies.match('/nowhere/a.mkv').item is None",
        "path in movies",
        "movies[path].key == key",
        "len(movies) == 300 and bool(movies)",
        "len(list(movies)) == 300",
        "movies.index is index and movies.title == 'Movies'",
        "movies.lookup_key(path.encode()) == key",
        "repr(index).startswith('<plexindex.Index ') and repr(movies).startswith('<plexindex.Library ')",
        "index.library().lookup_key(path) == key",
        "index.library(section=1).lookup_key(path) == key",
        "index.libraries()[0].title == 'Movies'",
        "'stats' in dir(index) and 'match' in dir(movies)",
        "movies.match(path).item.paths == (path,)",
        "index.cache_dir == folder and index.is_open",
        "len(__import__('pickle').dumps(index)) > 100",
        "len(__import__('pickle').dumps(movies)) > 100",
        "index.stats().items == 420",
    ],
)
def test_it_becomes_the_index_itself(store: tuple[str, ...], wish: str) -> None:
    code = (
        f"lookup, same, one = movies.lookup_key, (id(index), id(movies)), movies\n"
        f"assert lookup(path) == key and light\n"
        f"assert {wish}\n"
        f"assert isinstance(index, plexindex.Index) and type(index) is plexindex.Index\n"
        f"assert isinstance(movies, plexindex.Library) and type(movies) is plexindex.Library\n"
        f"assert lookup(path) == movies.lookup_key(path) == key and one is movies\n"
        f"index.close()\n"
        f"for ask in (lookup, movies.lookup_key, movies.match):\n"
        f"    try: ask(path)\n"
        f"    except plexindex.ClosedError: print('closed')\n"
    )
    assert run(code, store) == ["closed"] * 3


def test_a_closed_one_says_so(store: tuple[str, ...]) -> None:
    code = (
        "lookup, match = movies.lookup_key, movies.match\n"
        "with index: pass\n"
        "index.close()\n"
        "for ask in (lookup, match, index.library):\n"
        "    try: ask(path)\n"
        "    except plexindex.ClosedError as error: print(type(error).__module__, error)\n"
        "print(type(index).__name__, index.is_open)\n"
    )
    said = f"plexindex the index on '{store[0]}' is closed: open it again"
    assert run(code, store) == [said, said, said, "Index False"]


def test_log_lines_are_handed_on(store: tuple[str, ...]) -> None:
    code = (
        "import sys, logging\n"
        "logging.basicConfig(level=logging.DEBUG, format='%(name)s %(message)s', stream=sys.stdout)\n"
        "import plexindex\n"
        "index = plexindex.open(sys.argv[1], sys.argv[2], 't', accept_invalid_certs=True)\n"
        "print(type(index).__name__)\n"
    )
    printed = run_python(code, store[0], "https://127.0.0.1:1")
    assert "plexindex " in printed
    assert printed.endswith("LazyIndex\n")


def test_a_fork_while_another_thread_asks(store: tuple[str, ...]) -> None:
    # The thread that has the lock is not in the child: nothing there may wait for it.
    code = (
        "import os, signal, threading\n"
        "sys.setswitchinterval(1e-6)\n"
        "held, on = threading.Event(), threading.Event()\n"
        "def hold():\n"
        "    with index._closing:\n"
        "        held.set()\n"
        "        on.wait()\n"
        "thread = threading.Thread(target=hold)\n"
        "thread.start()\n"
        "held.wait()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    signal.alarm(10)\n"
        "    same = movies.match(path).key == index.library('Movies').match(path).key == key\n"
        "    index.close()\n"
        "    os._exit(0 if same else 1)\n"
        "print(light, os.waitpid(child, 0)[1])\n"
        "on.set()\n"
        "thread.join()\n"
        "print(movies.match(path).key == key)\n"
        "index.close()\n"
    )
    assert run(code, store) == ["True 0", "True"]
