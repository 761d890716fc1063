"""The tests of the bindings for Node.js, Go, LuaJIT, Ruby, C# and Java: `make test-languages`, of run_tests.py.

Each runs in its language's own way, with a stand-in server and a file of what that serves. A language whose toolchain
is missing is skipped, and the table at the end says what is missing.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import dotnet
import make_packages
import node_project
from environment import ROOT, build_folder, target_folder
from install import version
from make_packages import BINDINGS, JNA
from runner import Row, show

TOKEN = "test-token-of-the-bindings"  # noqa: S105
SERVED = ("--movies", "1500", "--episodes", "120")


@dataclass
class Language:
    """A binding: its tools, and the commands that build and test it."""

    name: str
    tools: dict[str, str]
    commands: list[list[str]]
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """The missing tools, and how to get them."""
        return [
            f"{tool} ({how})"
            for tool, how in self.tools.items()
            if not (Path(tool).exists() if tool.startswith("/") else shutil.which(tool))
        ]


class Server:
    """A stand-in server for all bindings."""

    def __init__(self, binary: Path) -> None:
        command = [str(binary), "--token", TOKEN, "--exit-with-stdin", *SERVED]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[1]

    def slow(self) -> Server:
        """Delays each page of a listing by 20 ms from now on."""
        fault = {"kind": "listing", "action": "delay", "ms": 20, "count": 0}
        urllib.request.urlopen(f"{self.url}/_standin/faults", json.dumps(fault).encode()).close()  # noqa: S310
        return self

    def stop(self) -> None:
        """Ends it."""
        self._process.communicate()

    def paths(self, library: int) -> list[dict[str, Any]]:
        """The files of a library."""
        with urllib.request.urlopen(f"{self.url}/_standin/paths?library={library}") as answer:  # noqa: S310
            rows: list[dict[str, Any]] = json.load(answer)
        return [row for row in rows if row["path"]]


def facts(server: Server) -> dict[str, Any]:
    """Test data: ten films, a file name that several films have, and a show."""
    movies, episodes = server.paths(1), server.paths(2)
    by_key = defaultdict(list)
    by_path = defaultdict(list)
    by_name = defaultdict(list)
    shows = defaultdict(list)
    for movie in movies:
        by_key[movie["ratingKey"]].append(movie)
        by_path[movie["path"]].append(movie)
        by_name[movie["path"].rsplit("/", 1)[1]].append(movie["path"])
    for episode in episodes:
        shows[episode["path"].split("/Season")[0]].append(episode["path"])
    single = [
        {"key": f"/library/metadata/{movie['ratingKey']}", "title": movie["title"], "path": movie["path"]}
        for movie in movies
        if len(by_key[movie["ratingKey"]]) == len(by_path[movie["path"]]) == 1
        and len(by_name[movie["path"].rsplit("/", 1)[1]]) == 1
        and movie["path"].isascii()
    ]
    name, paths = next((name, paths) for name, paths in by_name.items() if 1 < len(set(paths)) <= 16)
    folder, files = next((folder, files) for folder, files in shows.items() if len(set(files)) == len(files))
    return {
        "movies": single[:10],
        "repeated": {"name": name, "paths": sorted(set(paths))},
        "show": {"folder": folder, "title": folder.rsplit("/", 1)[1], "paths": files, "episodes": len(files)},
    }


def lines(told: dict[str, Any]) -> str:
    """The same as lines of fields with tabulators between, for languages without JSON."""
    rows = [["movie", movie["key"], movie["title"], movie["path"]] for movie in told["movies"]]
    rows += [["repeated", told["repeated"]["name"], path] for path in told["repeated"]["paths"]]
    rows += [["show", told["show"]["folder"], told["show"]["title"], path] for path in told["show"]["paths"]]
    return "".join("\t".join(row) + "\n" for row in rows)


def all_of_them(library: Path) -> list[Language]:
    """The languages."""
    made = build_folder() / "languages"
    made.mkdir(parents=True, exist_ok=True)
    folder = library.parent
    go, java, csharp = (BINDINGS / name for name in ("go", "java", "csharp"))
    jar = jar_file()
    sharp = made / "csharp"
    csharp_sources = [file.name for file in sorted(csharp.glob("*.cs"))]
    project = made / "node"
    project.mkdir(exist_ok=True)
    return [
        Language(
            "Node.js",
            {"node": "Node.js 18 or newer", "npm": "npm", "strip": "binutils"},
            [
                stripped(library, project),
                packages("npm", project / library.name),
                *node_project.commands(project),
            ],
            project,
            {"PLEXINDEX_LIBRARY": ""},
        ),
        Language(
            "Go",
            {"go": "golang-go"},
            [["go", "vet", "./..."], *staticcheck(), ["go", "test", "-v", "-count=1", "."]],
            go,
            {
                "CGO_LDFLAGS": f"-L{folder} -Wl,-rpath,{folder}",
                "GOCACHE": str(made / "go"),
                "GOFLAGS": "-mod=mod",
                "GOPROXY": "off",
            },
        ),
        Language("LuaJIT", {"luajit": "luajit"}, [["luajit", "test/test.lua"]], BINDINGS / "lua"),
        Language("Ruby", {"ruby": "ruby"}, [["ruby", "-w", "-Ilib", "test/all.rb"]], BINDINGS / "ruby"),
        Language(
            "C#",
            {"mcs": "mono-mcs", "mono": "mono-runtime", "strip": "binutils"},
            [
                stripped(library, sharp),
                packages("csharp", sharp / library.name),
                ["sh", "-c", f"cp -r {packaged_csharp()}/runtimes {sharp}"],
                ["mcs", "-warnaserror", f"-out:{sharp / 'Test.exe'}", "test/Test.cs", *csharp_sources],
                ["mono", str(sharp / "Test.exe"), str(ROOT / "docs/abi.txt")],
                *(dotnet.commands(made, packaged_csharp()) if dotnet.is_there() else []),
            ],
            csharp,
            {"PLEXINDEX_LIBRARY": ""},
        ),
        Language(
            "Java",
            {"javac": "default-jdk-headless", "java": "default-jre-headless", str(JNA): "libjna-java"},
            [
                stripped(library, made / "jar"),
                packages("jar", made / "jar" / library.name),
                ["javac", "-Xlint:all", "-Werror", "-cp", f"{JNA}:{jar}", "-d", str(made / "java"), "test/Test.java"],
                ["java", "-cp", f"{made / 'java'}:{JNA}:{jar}", "Test", str(ROOT / "docs/abi.txt"), str(jar), str(JNA)],
            ],
            java,
            {"PLEXINDEX_LIBRARY": ""},
        ),
    ]


def staticcheck() -> list[list[str]]:
    """The command of Go's linter, if it is installed; Debian gives it another name."""
    found = shutil.which("staticcheck") or shutil.which("go-staticcheck")
    return [[found, "./..."]] if found else []


# README's program for Node.js prints a title; this checks the key.
CHECK = "if (match.item?.key !== KEY || key !== KEY) throw new Error(key ?? 'null');\n"
BLOCK = r"<!-- make test-languages -->\n```(\w+)\n(.*?)```\n<!-- end -->"


def readme_programs(told: dict[str, Any], server: Server) -> dict[str, list[str]]:
    """Makes programs in `build` of the lines in the READMEs of the bindings. Returns the command of each."""
    made = build_folder() / "languages" / "readme"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    pages = {name: (BINDINGS / name / "README.md").read_text(encoding="utf-8") for name in ("node", "java", "csharp")}
    if re.findall(BLOCK, pages["node"], re.DOTALL)[0] not in re.findall(
        BLOCK, (BINDINGS / "README.md").read_text(encoding="utf-8"), re.DOTALL
    ):
        raise ValueError("the README of node and bindings/README.md show different lines")
    programs = {"js": node_project.code(BINDINGS / "node" / "README.md") + CHECK}
    for page in ("java", "csharp"):
        name, program = re.findall(BLOCK, pages[page], re.DOTALL)[0]
        programs[name] = program
    movie = told["movies"][0]
    for name, program in programs.items():
        for placeholder, value in {
            '"cache"': json.dumps(str(made / f"cache-{name}")),
            '"http://127.0.0.1:32400"': json.dumps(server.url),
            '"YOUR-TOKEN"': json.dumps(TOKEN),
            '"/media/movies/Big Buck Bunny (2008).mkv"': json.dumps(movie["path"]),
            "KEY": json.dumps(movie["key"]),
        }.items():
            program = program.replace(placeholder, value)
        (made / f"main.{name}").write_text(program, encoding="utf-8")
    return {
        "Node.js": ["sh", "-c", f"cp {shlex.quote(str(made / 'main.js'))} main.mjs && exec node main.mjs"],
        "Go": [sys.executable, str(ROOT / "scripts" / "language_readmes.py"), "go"],
        "LuaJIT": [sys.executable, str(ROOT / "scripts" / "language_readmes.py"), "lua"],
        "Ruby": [sys.executable, str(ROOT / "scripts" / "language_readmes.py"), "ruby"],
        "Java": prints(movie, f"java -cp {JNA}:{jar_file()} {made / 'main.java'}"),
        "C#": prints(movie, f"mcs -out:main.exe {made / 'main.cs'} *.cs && mono main.exe", packaged_csharp()),
    }


def jar_file() -> Path:
    """The JAR that make_packages.py makes."""
    return build_folder() / "packages" / "jar" / f"plexindex-{version()}.jar"


def packaged_csharp() -> Path:
    """The folder of sources that make_packages.py makes."""
    return build_folder() / "packages" / "csharp"


def prints(movie: dict[str, Any], command: str, folder: Path = ROOT) -> list[str]:
    """Checks that a program prints a title and a key."""
    expected = shlex.quote(f"{movie['title']}\n{movie['key']}")
    script = f'cd {folder} && said=$({command}) && echo "$said" && test "$said" = {expected}'
    return ["sh", "-c", script]


def stripped(library: Path, folder: Path) -> list[str]:
    """Makes a library in this folder that is as small as one that is shipped."""
    folder.mkdir(exist_ok=True)
    return ["strip", "--strip-debug", "-o", str(folder / library.name), str(library)]


def packages(kind: str, library: Path) -> list[str]:
    """Makes packages with this library."""
    return [sys.executable, str(ROOT / "scripts" / "make_packages.py"), kind, f"{make_packages.here()}={library}"]


def with_servers(
    library: Path, all_of: Callable[[dict[str, str]], list[Language]], *, is_here: bool = False
) -> list[Row]:
    """Tests programs of other languages with two stand-in servers; with the READMEs' programs if that is here."""
    standin = target_folder() / "debug" / "standin"
    server, slow = Server(standin), Server(standin).slow()
    try:
        folder = build_folder() / "languages"
        folder.mkdir(parents=True, exist_ok=True)
        told = facts(server)
        (folder / "facts.json").write_text(json.dumps(told), encoding="utf-8")
        (folder / "facts.txt").write_text(lines(told), encoding="utf-8")
        variables = {
            "PLEXINDEX_LIBRARY": str(library),
            "PLEXINDEX_TEST_URL": server.url,
            "PLEXINDEX_TEST_SLOW_URL": slow.url,
            "PLEXINDEX_TEST_TOKEN": TOKEN,
            "PLEXINDEX_TEST_FACTS": str(folder / "facts.json"),
            "PLEXINDEX_TEST_LINES": str(folder / "facts.txt"),
        }
        all_of_them = all_of(variables)
        for name, command in readme_programs(told, server).items() if is_here else ():
            next(one for one in all_of_them if one.name == name).commands.append(command)
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda one: language(one, variables), all_of_them))
    finally:
        server.stop()
        slow.stop()


def language(one: Language, variables: dict[str, str]) -> Row:
    """Tests one binding. Its output is printed at its end."""
    if missing := one.missing():
        return Row(one.name, 0, 0, 0.0, f"skipped: not installed: {', '.join(missing)}")
    begin = time.monotonic()
    counts: dict[str, int] = {}

    def read(line: str) -> None:
        # The counts of Node, of Ruby, and of the other tests.
        if found := re.match(r"# (pass|fail) (\d+)$", line):
            counts[found[1]] = int(found[2])
        if found := re.match(r"(\d+) runs, \d+ assertions, (\d+) failures, (\d+) errors", line):
            counts["fail"] = int(found[2]) + int(found[3])
            counts["pass"] = int(found[1]) - counts["fail"]
        if found := re.match(r"\s*(?:--- )?(PASS|FAIL): ", line):
            counts[found[1].lower()] = counts.get(found[1].lower(), 0) + 1

    for command in one.commands:
        failed = show(command, read, folder=one.folder, variables={**variables, **one.variables})
        if failed:
            counts["fail"] = max(counts.get("fail", 0), 1)
            break
    if not counts.get("pass"):
        # An unknown runner would look like success.
        counts["fail"] = max(counts.get("fail", 0), 1)
    return Row(one.name, counts.get("pass", 0), counts.get("fail", 0), time.monotonic() - begin)
