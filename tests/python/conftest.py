"""Fixtures: the stand-in server as a process, and indexes that are closed after the test.

PLEXINDEX_STANDIN names the `standin` binary, if it is not that of a debug build.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import gc
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import TOKEN as TOKEN
from cli import Cli
from disk import Tree
from plexindex.testing import FakePlex

REPOSITORY = Path(__file__).resolve().parents[2]
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class Server:
    """A stand-in server in a process of its own, and its side door."""

    def __init__(self, *arguments: str) -> None:
        binary = os.environ.get("PLEXINDEX_STANDIN") or str(REPOSITORY / "target/debug/standin")
        if not shutil.which(binary):
            pytest.fail(f"there is no {binary}: cargo build -p plexindex-standin, or name it with PLEXINDEX_STANDIN")
        command = [binary, "--token", TOKEN, "--exit-with-stdin", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("standin: http://"), line
        self.url = line.split()[1]
        self.token = TOKEN

    def stop(self) -> None:
        """Ends the process; nothing listens at its address afterwards."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def get(self, name: str) -> Any:
        """GET /_standin/name."""
        with urllib.request.urlopen(f"{self.url}/_standin/{name}") as answer:
            return json.load(answer)

    def post(self, name: str, body: object = None) -> Any:
        """POST /_standin/name."""
        data = json.dumps({} if body is None else body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_standin/{name}", data=data)) as answer:
            return json.load(answer)

    def requests(self) -> int:
        """How many requests came since the last reset."""
        total: int = self.get("stats")["total"]
        return total

    def counted(self) -> dict[str, int]:
        """Requests by kind since the last call."""
        counts = self.get("stats")["requests"]
        self.reset()
        return {kind: count for kind, count in counts.items() if count}

    def reset(self) -> None:
        """Sets the counters to zero."""
        self.post("reset")

    def fault(self, **fault: object) -> None:
        """What the next requests meet."""
        self.post("faults", fault)

    def paths(self, library: int = 1) -> list[dict[str, Any]]:
        """ratingKey, title, path and size of a library's items that have a file."""
        return [row for row in self.get(f"paths?library={library}") if row["path"]]


ServerFactory = Callable[..., Server]
OpenIndex = Callable[..., plexindex.Index]


@pytest.fixture
def host_lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines in the log of a host of Stash2Plex's shape: level and text, paths behind a word."""
    lines: list[str] = []

    def create_logger(component: str) -> tuple[Callable[[str], None], ...]:
        assert component in ("Cache", "Index", "Matcher")
        return tuple(lambda text, level=level: lines.append(f"{level} {text}") for level in "tdiwe")

    for name, content in (
        ("shared.log", {"create_logger": create_logger}),
        ("validation.obfuscation", {"obfuscate_path": lambda path: f"hidden:{path}"}),
    ):
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name.split(".")[0], types.ModuleType(name.split(".")[0]))
        monkeypatch.setitem(sys.modules, name, module)
    return lines


def on_unix(why: str) -> pytest.MarkDecorator:
    """For a test that cannot run on Windows, or under wine."""
    return pytest.mark.skipif(os.name == "nt", reason=why)


forks = on_unix("it forks")
makes_links = on_unix("it makes links, which wine does not, or names that are no text")
names_bytes = on_unix("file names there are no bytes")
runs_shell = on_unix("it runs a line of a Unix shell, or one of its programs")
sends_signal = on_unix("it sends a signal to another process, which Windows has not")
takes_rights = on_unix("it takes rights or free space away as Unix does")
types_at_terminal = on_unix("it types at a terminal of Unix")
# They cannot even be imported there.
collect_ignore = ["test_abi.py", "test_shared.py", "test_stash2plex.py", "test_wheel.py"] if os.name == "nt" else []


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
    return True


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """Ctrl-C raises, here and in the processes that tests start: a background job inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start_server() -> Iterator[ServerFactory]:
    """Starts servers with these arguments."""
    servers: list[Server] = []

    def start(*arguments: str) -> Server:
        servers.append(Server(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server: ServerFactory) -> Server:
    """A server with 300 movies and 120 episodes, in sections 1 and 2."""
    return start_server("--movies", "300", "--episodes", "120", "--plain")


@pytest.fixture
def slow_server(server: Server) -> Server:
    """A server whose listings take long."""
    server.fault(kind="listing", action="delay", ms=30, count=0)
    return server


@pytest.fixture
def tree(tmp_path: Path, start_server: ServerFactory) -> Tree:
    """Files on a disk, and a server that lists them."""
    return Tree(tmp_path, start_server)


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and the store of ``index``, which does not exist yet."""
    return Cli(tmp_path, server)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache folder that does not exist yet."""
    return tmp_path / "store"


@pytest.fixture
def open_index(cache: Path, request: pytest.FixtureRequest) -> Iterator[OpenIndex]:
    """Opens indexes on the cache and the server, unless the test says otherwise."""
    with contextlib.ExitStack() as stack:

        def open_one(folder: Any = cache, **options: Any) -> plexindex.Index:
            if "server_url" not in options:
                server = request.getfixturevalue("server")
                options.update(server_url=server.url, token=options.get("token", server.token))
            return stack.enter_context(plexindex.open(folder, **{"retry_for": 0, **options}))

        yield open_one


@pytest.fixture
def index(open_index: OpenIndex) -> plexindex.Index:
    """An open index; nothing was fetched yet."""
    return open_index()


@pytest.fixture
def movies(index: plexindex.Index) -> Any:
    """The films of the index."""
    return index.library("Movies")


@pytest.fixture
def row(server: Server) -> dict[str, Any]:
    """A listed film: ratingKey, title, path and size."""
    return server.paths()[0]


@pytest.fixture
def without_collector() -> Iterator[None]:
    """The garbage collector does not help."""
    gc.disable()
    yield
    gc.enable()


OLD, NEW, SIZE = "/m/Old.mkv", "/m/New.mkv", 20_000_001


@pytest.fixture
def plex() -> Iterator[Any]:
    """A server of the package with one film, of this size."""
    with FakePlex({"Films": [OLD]}, sizes={OLD: SIZE}) as plex:
        yield plex


@pytest.fixture
def films(plex: FakePlex, open_index: OpenIndex) -> plexindex.Index:
    """An index that has listed the film."""
    films = open_index(server_url=plex.url, token=plex.token)
    films.refresh()
    return films


def until(done: Callable[[], object]) -> None:
    """Waits for a condition; one that never comes is a failure."""
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@contextlib.contextmanager
def interrupts(when: Callable[[], object]) -> Iterator[None]:
    """Presses Ctrl-C within the block, as soon as a condition holds."""

    def press() -> None:
        until(when)
        if os.name == "nt":
            _thread.interrupt_main()  # what Windows' handler of Ctrl-C does
        else:
            os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        pressed = pool.submit(press)
        yield
    pressed.result()


async def soon(done: Callable[[], object]) -> None:
    """Waits for a condition while the event loop goes on."""
    await asyncio.to_thread(until, done)


async def cancelled(task: asyncio.Future[Any]) -> BaseException:
    """Cancels a task, and returns the error with which it ends."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


def exit_of_child(child: Callable[[], object], parent: Callable[[], object] = lambda: None) -> int:
    """Forks, and runs each half in its process. Returns the exit code of the child, in which nothing may raise."""
    pid = os.fork()
    if pid == 0:
        # No exception may come back into the test's code: this process ends here.
        code = 9
        try:
            signal.alarm(30)
            child()
            code = 0
        finally:
            os._exit(code)
    parent()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(*command: object, timeout: float | None = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, which has to come within a minute."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout, **options)


def output(*command: object, **options: Any) -> str:
    """What a program prints, which must end well."""
    done = run(*command, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_python(code: str, *arguments: object, environment: dict[str, str] | None = None) -> str:
    """What a Python process prints that runs this code in an empty folder; it must end well."""
    with tempfile.TemporaryDirectory() as folder:
        return output(sys.executable, "-c", code, *arguments, cwd=folder, env={**os.environ, **(environment or {})})
