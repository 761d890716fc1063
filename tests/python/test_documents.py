"""The programs, commands, recipes and examples of the documents and of each public method, run as they stand."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
import os
import re
import runpy
import shlex
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
import requests
from cli import Cli
from conftest import REPOSITORY, Server, ServerFactory, output, run, run_python
from disk import Tree, make
from plexapi.server import PlexServer
from plexindex.testing import FakePlex

READMES = ["README.md", "bindings/python/README.md"]


def read(page: str) -> str:
    return (REPOSITORY / page).read_text("utf-8")


def blocks(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def defined(code: str) -> dict[str, Any]:
    """The names that a program defines."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(code, "docs", "exec"), names)  # noqa: S102
    return names


class TestReadmes:
    @pytest.fixture
    def server(self, start_server: ServerFactory) -> Server:
        """What `make standin` starts, with fewer items."""
        spec = str(REPOSITORY / "tests/standin/readme.json")
        return start_server("--spec", spec, "--movies", "30", "--episodes", "10")

    def run(self, code: str, server: Server) -> str:
        """Word for word, but for the address: `make standin` has the one that they name."""
        code = code.replace("http://127.0.0.1:32400", server.url)
        return run_python(f"token = {server.token!r}\ncache_dir = 'cache'\n{code}")

    @pytest.mark.parametrize("readme", READMES)
    def test_the_examples(self, readme: str, server: Server) -> None:
        found = blocks(read(readme))
        assert found
        # A test is run as one, in test_testing.
        for code in found:
            assert "plexindex.testing" in code or "Big Buck Bunny" in self.run(code, server)

    def test_the_example_of_the_package(self, server: Server) -> None:
        (code,) = blocks(plexindex.__doc__ or "")
        assert self.run(code, server).split()[1:] == ["Big", "Buck", "Bunny"]

    def test_the_answers_that_are_shown(self, cli: Cli) -> None:
        ((command, shown),) = re.findall(r"^\$ plexindex (.*)\n([^`]*)```", read(READMES[0]), re.MULTILINE)
        printed = cli.run(*shlex.split(command)).stdout
        # `make standin` serves more films, so the keys differ.
        assert re.sub(r"metadata/\d+", "", printed) == re.sub(r"metadata/\d+", "", shown)

    def test_the_figures_are_those_of_the_page_that_make_bench_writes(self) -> None:
        quoted = runpy.run_path(str(REPOSITORY / "bench" / "harness" / "quotes.py"))["quoted"]
        page, readme = read("bench/results/latest.md"), read("README.md")
        assert quoted(page, re.sub(r"takes [\d.]+", "takes 99", readme)) == readme
        for text in ("Cargo.toml", "bindings/python/pyproject.toml", "bindings/node/package.json"):
            assert not re.findall(r"\d[\d.,]* (?:ns|µs|ms|bytes|B|GiB|MiB)(?!\w)", read(text))


# A package by its name alone, or a repository of the organisation.
NOT_OURS = re.compile(
    r"\b(?:pipx?|uv|npm|cargo|go) (?:[^\s#&|;]+ )*?(?:install|download|add|get) (?![^\n]*--no-index)(?:[^\s#&|;]+ )*?"
    r"['\"]?plexindex(?:\[\w+\]|[=@][\w=.]+)*(?![\w./*-])|(?:github\.com/|--repo )plexindex/"
)


@pytest.mark.skipif("publish = false" not in read("Cargo.toml"), reason="the names are registered")
def test_nothing_fetches_a_name_that_a_stranger_can_register() -> None:
    assert all(NOT_OURS.search(f"{tool} plexindex") for tool in ("pip install", "pipx run add", "cargo add", "npm get"))
    files = run("git", "ls-files", cwd=REPOSITORY).stdout.splitlines()
    texts = ((name, (REPOSITORY / name).read_bytes().decode("utf-8", "replace")) for name in files)
    assert [(name, found[0]) for name, text in texts for found in NOT_OURS.finditer(text)] == []


TROUBLESHOOTING = read("docs/troubleshooting.md")
ROW = re.compile(r"^\|[^`|]*`([^`]+)` \|[^`|]*`([^`]+)` \| `([^`]+)=([^`]+)` \|$", re.MULTILINE)


@pytest.mark.parametrize(("host", "listed", "left", "right"), ROW.findall(TROUBLESHOOTING))
def test_a_mapping_of_the_page_leads_to_the_file(host: str, listed: str, left: str, right: str, tmp_path: Path) -> None:
    with (
        FakePlex({"Films": [listed]}) as plex,
        plexindex.open(tmp_path, server_url=plex.url, token=plex.token, mappings=[(left, right)]) as index,
    ):
        match = index.match(host)
        assert match.match_kind == "mapped"
        assert match.require().path == listed


def test_the_commands_of_the_page_run(tree: Tree, tmp_path: Path) -> None:
    words = {"FILE": str(tree.listed[0]), "FOLDER": str(tree.media), "FOLDER…": str(tree.media)}
    cli = Cli(tmp_path, tree.server)
    cli.good("refresh")
    commands = set(re.findall(r"`plexindex ([^`]+)`", TROUBLESHOOTING))
    assert len(commands) > 8
    for command in commands:
        assert cli.run(*(words.get(word, word) for word in command.split())).returncode == 0, command


class Shell:
    """Runs scripts in which what they call is at hand: the command, and what would reach the network or a mailbox."""

    def __init__(self, folder: Path, tree: Tree) -> None:
        self.cli, self.tree = Cli(folder, tree.server), tree
        self.cli.good("refresh")
        programs = folder / "programs"
        for name, does in {
            "plexindex": f'exec "{sys.executable}" -m plexindex "$@"',
            "curl": 'printf "%s\\n" "$*"',
            "mail": 'printf "%s\\n" "$*"; cat',
        }.items():
            make(programs / name, f"#!/bin/sh\n{does}\n".encode()).chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    def run(self, script: str, *given: object, **variables: str) -> str:
        script = script.replace("/mnt/media", str(self.tree.media))
        environment = {**self.cli.environment, "PATH": self.path, **variables}
        done = run("sh", "-c", script, "recipe", *given, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path, tree: Tree) -> Shell:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    return Shell(tmp_path, tree)


def test_the_recipes_of_a_shell(shell: Shell, tree: Tree) -> None:
    # The line with jq of the page about the command, while nothing differs.
    page = read("docs/command.md")
    ((command, filtered),) = re.findall(r"^\$ (plexindex diff --json) /tmp/media (\| jq .*)$", page, re.MULTILINE)
    assert shell.run(f"{command} /mnt/media {filtered}") == '["summary",null,null]\n'
    imported, hook, report, new, dead, trash = blocks(read("docs/hosts.md"), "sh")
    server = tree.server
    token = f"-H X-Plex-Token: {server.token} {server.url}"
    file = tree.listed[3]
    server.reset()
    assert str(file) in shell.run(hook.replace("{{episode}}", str(file)))
    assert server.get("stats")["requests"]["refresh"] == 1
    server.reset()
    assert str(file) in shell.run(imported, sonarr_episodefile_path=str(file))
    assert server.requests() == 1
    assert shell.run(imported) == "", "Sonarr tests the connection"
    server.reset()
    assert shell.run(report, tree.media) == ""
    assert server.requests() == 1 + len(shell.cli.lines("libraries"))
    added = make(tree.films / "New (2024)" / "New (2024).mkv")
    tree.listed[0].unlink()
    sent = shell.run(report, tree.media)
    assert sent.startswith("-s Plex and the disk root\n")
    assert str(added) in sent
    assert str(tree.listed[0]) in sent
    assert shell.run(new) == f"not_scanned\t{added}\n"
    assert shell.run(dead) == f"gone\t1\t{tree.listed[0]}\n"
    # Pasted as it stands it empties no trash; nor do the two of them.
    for pasted in (trash, dead + trash):
        assert "emptyTrash" not in shell.run(f"({pasted}) 2>/dev/null || true")
    emptied = shell.run(trash.replace("SECTION= ", "SECTION=1 "))
    assert emptied == f"-X PUT {token}/library/sections/1/emptyTrash\n"
    # And the line with jq in the help.
    line = re.findall(r"plexindex diff --json /mnt/media \|\n.*jq .*", shell.cli.good("diff", "--help"))[0]
    assert shell.run(" ".join(line.split())) == f"{added}\n"


def recipe(word: str) -> dict[str, Any]:
    """The names that the block of docs/hosts.md with this word defines."""
    (code,) = [block for block in blocks(read("docs/hosts.md")) if word in block]
    return defined(code)


@pytest.mark.parametrize(
    ("library", "files", "expected"),
    [
        ("Films", [f"/media/films/Film {number} ({2000 + number}).mkv" for number in range(5)], 3),
        ("Shows", [f"/media/tv/Show/Season 01/Show - S01E{name}.mkv" for name in ("01", "02-E03", "04")], 2),
    ],
)
def test_watched_states_of_one_server_on_another(tmp_path: Path, library: str, files: list[str], expected: int) -> None:
    copy_watched = recipe("copy_watched")["copy_watched"]
    with FakePlex({library: files}) as one, FakePlex({"Other": [], library: files[::-1]}) as other:
        first, second = (PlexServer(plex.url, plex.token) for plex in (one, other))
        kind = "episode" if library == "Shows" else "movie"
        for item in first.library.section(library).all(libtype=kind)[:3]:
            item.markPlayed()
        assert sorted(set(copy_watched(first, second, library, str(tmp_path)))) == files[:expected]
        played = [item.isPlayed for item in second.library.section(library).all(libtype=kind)]
        assert sum(played) == 3
        for plex in (one, other):
            plex.requests.clear()
        assert copy_watched(first, second, library, str(tmp_path)) == []
        assert [len(items(plex)) for plex in (one, other)] == [1, 1], "only a listing of each"
        first.library.section(library).all(libtype=kind)[3].markPlayed()
        other.requests.clear()
        assert len(copy_watched(first, second, library, str(tmp_path))) == 1
        assert len(items(other)) == 2, "the listing, and one item to mark"


def items(plex: FakePlex) -> list[object]:
    """The requests for items, without those for the sections and filters, which plexapi sends once for an object."""
    return [
        one for one in plex.requests
        if one.path.startswith(("/:/", "/library/metadata/")) or "type" in dict(one.arguments)
    ]  # fmt: skip


async def test_in_a_web_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as much of FastAPI as the recipe uses."""

    class HTTPException(Exception):  # noqa: N818
        pass

    class FastAPI:
        def __init__(self, lifespan: Any) -> None:
            self.lifespan, self.state = lifespan, types.SimpleNamespace()
            self.routes: dict[str, Any] = {}

        def get(self, path: str) -> Any:
            return lambda function: self.routes.setdefault(path, function)

    module = types.ModuleType("fastapi")
    vars(module).update(FastAPI=FastAPI, HTTPException=HTTPException)
    monkeypatch.setitem(sys.modules, "fastapi", module)
    with FakePlex({"Films": ["/media/films/Film (2001).mkv"]}) as plex:
        for name, value in (("CACHE_DIR", str(tmp_path)), ("SERVER_URL", plex.url), ("TOKEN", plex.token)):
            monkeypatch.setenv(f"PLEXINDEX_{name}", value)
        with plexindex.open() as index:
            index.refresh()
        plex.requests.clear()
        app = recipe("fastapi")["app"]

        async with app.lifespan(app):
            found = await asyncio.gather(*(app.routes["/item"]("/media/films/Film (2001).mkv") for _ in range(50)))
            assert {one["item"]["title"] for one in found} == {"Film"}
            assert plex.requests == []
            with pytest.raises(HTTPException, match="404"):
                await app.routes["/item"]("/media/films/None (2001).mkv")


def test_the_program_of_replace_your_cache_passes_its_test(tmp_path: Path) -> None:
    program, test = blocks(read("docs/replace-your-cache.md").split("## A whole program")[1])
    names = defined(program + test)
    names["test_files_get_a_label"](tmp_path)
    files = [f"/media/Film {number} (2000).mkv" for number in range(101)]
    with FakePlex({"Films": files}) as plex:
        server = PlexServer(plex.url, plex.token)
        assert names["label"](server, tmp_path / "films", "Films", "old", files[:1]) == 0
        plex.requests.clear()
        assert names["label"](server, tmp_path / "films", "Films", "new", files[1:]) == 0
        assert [request.method for request in plex.requests] == ["PUT"]
        assert [plex.item(file)["Label"][0]["tag"] for file in files[1:]] == ["New"] * 100


def episode(number: int, name: str = "") -> str:
    return f"/media/tv/Show/Season 01/Show - S01E{number:02}{name}.mkv"


class TestEpisodeFiles:
    """The worked example of docs/hosts.md."""

    @pytest.fixture
    def plex(self) -> Iterator[FakePlex]:
        with FakePlex({"Movies": ["/media/movies/Film (2001).mkv"]}) as server:
            server.add_library("TV Shows", [episode(number) for number in range(1, 41)])
            yield server

    @pytest.fixture
    def refresh(self, plex: FakePlex, tmp_path: Path) -> Iterator[Callable[..., tuple[list[int], list[int]]]]:
        """Refreshes as a new process of its host does: the keys of added and of updated episodes."""
        server = PlexServer(plex.url, plex.token)
        shows = [section for section in server.library.sections() if section.type == "show"]
        episode_files = defined(read("docs/hosts/plex_auto_languages.py"))["EpisodeFiles"]
        self.opened = episode_files(server, str(tmp_path / "cache.sqlite3"), retry_for=0)

        def keys(full: bool = True) -> tuple[list[int], list[int]]:
            added, updated = self.opened.refresh(shows, full=full)
            return sorted(item.ratingKey for item in added), sorted(item.ratingKey for item in updated)

        yield keys
        self.opened.close()

    @pytest.mark.parametrize("full", [True, False])
    def test_added_and_updated_episodes(self, plex: FakePlex, refresh: Any, full: bool) -> None:
        for _ in range(2):
            assert refresh(full) == ([], [])
            assert self.opened.count() == 40
        new = plex.add("TV Shows", episode(41))
        upgraded = int(plex.item(episode(3))["ratingKey"])
        plex.move(episode(3), episode(3, name=" - 2160p"))
        plex.set(upgraded, summary="Told anew")
        plex.set(episode(5), title="Only another title")
        plex.remove(episode(6))
        assert refresh(full) == ([new], [upgraded])
        assert self.opened.count() == 40
        assert refresh(full) == ([], [])
        assert not any("/sections/1/" in request.path for request in plex.requests), "the library of movies was listed"

    def test_nothing_is_lost_while_the_server_is_away_and_events_come_first(self, plex: FakePlex, refresh: Any) -> None:
        refresh()
        new = plex.add("TV Shows", episode(41))
        plex.stop()
        with pytest.raises(requests.ConnectionError):
            refresh()
        assert refresh(full=False) == ([], [])
        plex.start()
        assert refresh() == ([new], [])
        server = PlexServer(plex.url, plex.token)
        key = int(plex.item(episode(3))["ratingKey"])
        assert not self.opened.did_change(server.fetchItem(key))
        plex.move(episode(3), episode(3, name=" - 2160p"))
        assert self.opened.did_change(server.fetchItem(key))
        assert not self.opened.did_change(server.fetchItem(key))
        new = plex.add("TV Shows", episode(42))
        assert not self.opened.did_change(server.fetchItem(new)), "a new episode did not change"
        assert refresh() == ([], []), "the events were handled"


FILMS = ["/films/Sintel (2010).mkv", "/films/Big Buck Bunny (2008).mkv"]
EPISODES = [f"/tv/Alpha/Season 1/Alpha - S01E0{number}.mkv" for number in (1, 2)]
# They need PostgreSQL: docs/several-hosts.md.
SHARED = ("Shared.init", "Shared.deliver", "Shared.clear", "Shared.drop_old")


def public_functions() -> Iterator[tuple[str, Any]]:
    """Functions, and methods where they are defined, by their names."""
    for thing in (getattr(plexindex, name) for name in plexindex.__all__):
        for owner in inspect.getmro(thing) if isinstance(thing, type) else ():
            for name, value in vars(owner).items() if owner.__module__.startswith("plexindex") else ():
                method = getattr(value, "__func__", value)
                if name[0] != "_" and inspect.isfunction(method):
                    yield f"{owner.__name__}.{name}", method
        if inspect.isfunction(thing):
            yield thing.__name__, thing


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the examples use."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "New (2024).mkv").write_bytes(b"x")
    with (
        FakePlex({"Movies": FILMS, "TV Shows": EPISODES}) as plex,
        plexindex.open(tmp_path / "store", plex.url, plex.token) as index,
    ):
        index.refresh()
        movies, shows, table = index.library("Movies"), index.library("TV Shows"), index.table("settings")
        table["a"] = b"1"
        found = {"plexindex": plexindex, "plex": plex, "server": PlexServer(plex.url, plex.token), "folder": folder}
        found |= {"index": index, "movies": movies, "shows": shows, "table": table, "cache_dir": tmp_path / "other"}
        yield {**found, "item": movies.match(FILMS[0]).require()}


@pytest.mark.parametrize("name", sorted(dict(public_functions()).keys() - set(SHARED)))
def test_each_public_method_has_an_example_that_runs(name: str, names: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(
        inspect.getdoc(dict(public_functions())[name]) or "", names, name, None, None
    )
    assert example.examples
    printed: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=printed.append)
    assert printed == []


def test_the_reference_describes_what_a_class_inherits() -> None:
    (told,) = re.findall(r"bin/pdoc .*? -o build/pages/reference ([^-]*?)\n\tbuild", read("Makefile"), re.DOTALL)
    pages = [importlib.import_module(name) for name in told.replace("\\", "").split()]
    described = {getattr(page, name) for page in pages for name in page.__all__ if name[0].isupper()}
    bases = {base for one in described for base in getattr(one, "__mro__", ())} - described
    names = [f"{base.__module__}.{base.__name__}" for base in bases]
    assert [name for name in names if name.startswith("plexindex.") and "._" not in name] == []


def test_the_test_in_the_readme(tmp_path: Path) -> None:
    blocks = [text.split("```")[0] for text in read(READMES[1]).split("```python\n")[1:]]
    test = tmp_path / "test_readme.py"
    test.write_text(next(code for code in blocks if "import FakePlex" in code), encoding="utf-8")
    words = ("-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, test)
    assert "1 passed" in output(sys.executable, "-m", "pytest", *words)
