"""An index of which only fast lookups and known matches were asked: it is the index for all that a host can tell.

Each in a process of its own, since an index is opened that way only where nothing else was loaded before.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import TOKEN, OpenIndex, Server, run_python
from plexindex import _accelerator

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
        "print(loaded, [name for name in sys.modules if name.startswith(('plexindex._index', 'plexindex._many'))])\n",
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


def test_errors_of_opening_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    code = (
        "try: plexindex.open(sys.argv[1], 'http://x', 't', **eval(sys.argv[2]))\n"
        "except plexindex.Error as error: print(repr(error))\n"
    )
    for options in ("{}", "{'mappings': [('', '/data')]}", "{'page_size': 0}", "{'library_ttl': -1}"):
        folder = file if options == "{}" else tmp_path / "new"
        said = {
            run_python("import sys, plexindex\n" + load + code, folder, options) for load in ("", "plexindex.Index\n")
        }
        assert len(said) == 1, said
        assert "Error(" in said.pop()


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


def test_threads_that_ask_at_once_all_get_their_answer(store: tuple[str, ...]) -> None:
    code = (
        "import threading\n"
        "sys.setswitchinterval(1e-6)\n"
        "wrong = []\n"
        "def ask(number):\n"
        "    for _ in range(20):\n"
        "        if movies.lookup_key(path) != key: wrong.append('lookup')\n"
        "        if movies.match(path).key != key: wrong.append('match')\n"
        "        if number == 3 and not isinstance(index, plexindex.Index): wrong.append('kind')\n"
        "threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "index.close()\n"
        "print(wrong)\n"
    )
    assert run(code, store) == ["[]"]


def test_what_is_dropped_is_closed(store: tuple[str, ...]) -> None:
    code = (
        "import os\n"
        "lookup = movies.lookup_key\n"
        "del index, movies\n"
        "print(lookup(path) == key)\n"
        "del lookup\n"
        "print([name for name in os.listdir('/proc/self/fd') if folder in os.path.realpath('/proc/self/fd/' + name)])\n"
        "again = plexindex.open(folder, url, token)\n"
        "print(again.library('Movies').lookup_key(path) == key)\n"
    )
    if sys.platform == "linux":
        assert run(code, store) == ["True", "[]", "True"]


def test_every_option_arrives(store: tuple[str, ...]) -> None:
    # Each is refused by the library with its own name, through the accelerator as through ctypes.
    given = {
        "deadline": 2e9,
        "user": "x" * 100_000,
        "ca_file": "/nowhere/ca.pem",
        "mappings": [("/a", "/b"), ("(", "/c")],
    }
    code = (
        "import sys, plexindex\n"
        "def tried(**options):\n"
        "    try:\n"
        "        with plexindex.open(sys.argv[1], 'https://127.0.0.1:1', 't', **options) as index:\n"
        "            return str(index.library('Movies').lookup_key('/x'))\n"
        "    except plexindex.Error as error: return repr(error)\n"
        "print([tried(**{name: value}) for name, value in eval(sys.argv[2]).items()])\n"
    )
    light, full = (
        run_python(code.replace("def", load + "def", 1), store[0], given) for load in ("", "plexindex.Index\n")
    )
    assert light == full


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
