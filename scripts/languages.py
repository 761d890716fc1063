"""Runs the tests of the bindings for Node.js and Go: `make test-languages`. ONLY=go runs only those for Go.

The script runs each language's own test command in the folder of its binding, with the library that cargo built and a
stand-in server. It skips a language whose tools are not installed. PLEXINDEX_TEST_DEEP=1 also runs slow tests: `make
check-deep`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILT = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"
TOKEN = "test-token-of-the-bindings"  # noqa: S105
SERVED = ("--movies", "1500", "--episodes", "120")
FOLDER = ROOT / "build" / "languages"
# For each folder, the required tools and the test command.
LANGUAGES = {
    "node": (
        ["node", "npm"],
        "npm install --no-package-lock --no-audit --no-fund --silent --prefer-offline && npm test --silent",
    ),
    "go": (["go"], "go vet ./... && go test -count=1 ."),
}


@contextmanager
def standin(*faults: dict[str, Any]) -> Iterator[str]:
    """Starts a stand-in server with these faults, and yields its address."""
    command = [str(BUILT / "standin"), "--token", TOKEN, "--exit-with-stdin", *SERVED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[1]
        for fault in faults:
            urllib.request.urlopen(f"{url}/_standin/faults", json.dumps(fault).encode()).close()  # noqa: S310
        yield url


def facts(url: str) -> str:
    """Returns lines of tab-separated fields: ten movies, the files with one repeated name, and the files of a show."""

    def files(library: int) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{url}/_standin/paths?library={library}") as answer:  # noqa: S310
            return [row for row in json.load(answer) if row["path"]]

    def file_name(row: dict[str, Any]) -> str:
        name: str = row["path"].rpartition("/")[2]
        return name

    movies, names, shows = files(1), defaultdict(set), defaultdict(list)
    for row in movies:
        names[file_name(row)].add(row["path"])
    for row in files(2):
        shows[row["path"].split("/Season")[0]].append(row["path"])
    counts = Counter(value for row in movies for value in (row["ratingKey"], row["path"], file_name(row)))
    single = [
        row
        for row in movies
        if counts[row["ratingKey"]] == counts[row["path"]] == counts[file_name(row)] == 1 and row["path"].isascii()
    ]
    name = next(name for name, paths in names.items() if 1 < len(paths) <= 16)
    show = next(show for show, paths in shows.items() if len(set(paths)) == len(paths))
    rows = [["movie", f"/library/metadata/{row['ratingKey']}", row["title"], row["path"]] for row in single[:10]]
    rows += [["repeated", name, path] for path in sorted(names[name])]
    rows += [["show", show, show.rpartition("/")[2], path] for path in shows[show]]
    return "".join("\t".join(row) + "\n" for row in rows)


@contextmanager
def variables(library: Path) -> Iterator[dict[str, str]]:
    """Yields the tests' environment: the library, a server, a server whose pages take 20 ms, and their contents."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with standin() as url, standin({"kind": "listing", "action": "delay", "ms": 20, "count": 0}) as slow:
        (FOLDER / "facts.txt").write_text(facts(url), encoding="utf-8")
        yield {
            "PLEXINDEX_LIBRARY": str(library),
            "PLEXINDEX_TEST_URL": url,
            "PLEXINDEX_TEST_SLOW_URL": slow,
            "PLEXINDEX_TEST_TOKEN": TOKEN,
            "PLEXINDEX_TEST_FACTS": str(FOLDER / "facts.txt"),
            "CGO_CFLAGS": f"-I{ROOT / 'include'}",
            "CGO_LDFLAGS": f"-L{library.parent} -Wl,-rpath,{library.parent}",
            "GOFLAGS": "-mod=mod",
            "GOPROXY": "off",
        }


def missing(tools: list[str]) -> list[str]:
    """Returns the tools that are not installed."""
    return [tool for tool in tools if not (shutil.which(tool) or Path(tool).is_file())]


def main() -> int:
    """Tests the languages in ONLY, or all languages."""
    chosen = os.environ.get("ONLY", "").split() or list(LANGUAGES)
    rows, failed = [], 0
    with variables(BUILT / "deps" / f"libplexindex.{'dylib' if sys.platform == 'darwin' else 'so'}") as given:
        for name in chosen:
            tools, command = LANGUAGES[name]
            if lacking := missing(tools):
                rows.append(f"{name}: skipped: not installed: {', '.join(lacking)}")
                continue
            begin = time.monotonic()
            print(f"\n== {name}", flush=True)
            done = subprocess.run(
                ["sh", "-ec", command],
                cwd=ROOT / "bindings" / name,
                env={**os.environ, **given},
                stdin=subprocess.DEVNULL,
                check=False,
            )
            failed += done.returncode != 0
            rows.append(f"{name}: {'FAILED' if done.returncode else 'passed'}, {time.monotonic() - begin:.1f} s")
    print("", *rows, "", f"{sum(': passed' in row for row in rows)} passed, {failed} failed", sep="\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
