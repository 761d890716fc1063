"""Demonstrates several hosts: three processes, each with its own folder, share matches through PostgreSQL.

    hosts.py --standin PATH/TO/standin

`make demo-hosts` runs this program. The demo measures every figure that it prints. The stand-in server counts the
requests.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import plexindex
import terminal as t
from servers import Item, StandIn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from postgresql import Cluster, MissingError

ROOTS = {"A": "/mnt/nas", "B": "/volume1", "C": "/media"}
"""Each host's path for the server's `/data`."""
ODD = "/movies/incoming/xq-7.mkv"
LATER = "/movies/incoming/xq-8.mkv"
"""Files that Plex lists under other names, so a person records which films they are."""
PATIENCE = 30.0


class Host:
    """Runs a host's commands, in its own process."""

    def __init__(self, index: plexindex.Index) -> None:
        self.index = index
        self.library = index.library("Movies")

    def match(self, path: str) -> dict[str, Any]:
        """Matches a path. Fetches the library if necessary."""
        return self._shown(self.library.match(path))

    def record(self, path: str, key: str) -> dict[str, Any]:
        """Records a match. Returns the time, so that other hosts can measure the delay."""
        begun = time.perf_counter()
        self.library.record_match(path, key)
        return {"took": time.perf_counter() - begun, "at": time.time()}

    def invalidate(self, path: str) -> dict[str, Any]:
        """Invalidates a path."""
        self.library.invalidate_path(path)
        return {"at": time.time()}

    def wait(self, path: str, key: str | None) -> dict[str, Any]:
        """Waits until a fast lookup returns the key. Returns the time, or None on timeout."""
        until = time.monotonic() + PATIENCE
        while self.library.lookup_key(path) != key:
            if time.monotonic() > until:
                return {"at": None}
            time.sleep(0.0005)
        return {"at": time.time()}

    def status(self) -> dict[str, Any]:
        """Returns the state of the connection to PostgreSQL."""
        status = self.index.shared_status()
        assert status is not None
        return {name: status.get(name) for name in ("reachable", "undelivered", "error")}

    def stats(self) -> dict[str, Any]:
        """Returns the number of requests of each kind."""
        return {kind: number for kind, number in self.index.stats()["requests"].items() if number}

    def _shown(self, match: plexindex.Match) -> dict[str, Any]:
        item = match.sure
        title = f"{item.title} ({item.year})" if item else None
        return {"key": match.key, "title": title, "kind": match.match_kind, "stale": match.stale}


def serve(folder: str, url: str, root: str) -> None:
    """Runs commands until the input ends: the process of a host. ``root`` is its path for the server's `/data`."""
    # The demo itself shows that PostgreSQL is down, so hide the warnings.
    logging.getLogger("plexindex").setLevel(logging.ERROR)
    token, shared = os.environ["PLEX_TOKEN"], os.environ["PLEXINDEX_SHARED"]
    with plexindex.open(folder, url, token, shared=shared, mappings=[(root, "/data")]) as index:
        # Follow the server's events and the other hosts.
        index.watch().start()
        host = Host(index)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            begun = time.perf_counter()
            answer = getattr(host, command)(*arguments)
            print(json.dumps({"seconds": time.perf_counter() - begun, **answer}), flush=True)


class HostProcess:
    """A host: a process with its own folder, which reads commands and writes answers as lines of JSON."""

    def __init__(self, name: str, server: StandIn, cluster: Cluster) -> None:
        self.name, self.root = name, ROOTS[name]
        folder = cluster.folder / f"host-{name}"
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--host", str(folder), server.url, self.root],
            env={**os.environ, "PLEX_TOKEN": server.token, "PLEXINDEX_SHARED": cluster.address},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, command: str, *arguments: object) -> None:
        """Sends a command."""
        assert self._process.stdin is not None
        print(json.dumps([command, *arguments]), file=self._process.stdin, flush=True)

    def end(self) -> dict[str, Any]:
        """Reads the answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"host {self.name} has exited: see its error above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, command: str, *arguments: object) -> dict[str, Any]:
        """Sends a command and returns the answer."""
        self.begin(command, *arguments)
        return self.end()

    def path(self, item: Item | str) -> str:
        """Returns this host's path for a server path."""
        path = item if isinstance(item, str) else item.path.removeprefix("/data")
        return self.root + path

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()


class Demo:
    """Runs the steps."""

    def __init__(self, server: StandIn, cluster: Cluster) -> None:
        self.server, self.cluster = server, cluster
        self.broken: list[str] = []
        self.times: list[tuple[str, int]] = []
        self.hosts = [HostProcess(name, server, cluster) for name in ROOTS]

    def run(self) -> None:
        """Runs all steps."""
        a, b, c = self.hosts
        first = self.server.first("Movies")
        t.say(t.bold(f"plexindex {plexindex.__version__}: several hosts, the same matches") + "\n")
        t.row("server", self.server.name)
        t.row("PostgreSQL", "started for the demo, on a Unix socket")
        for host in self.hosts:
            t.row(f"host {host.name}", f"a process with its own folder; its path for the server's /data is {host.root}")

        t.heading("1  Each host fetches the library")
        for host in self.hosts:
            before = self.requests()
            answer = host.ask("match", host.path(first))
            self.shown(host, answer, before, 30)
            self.check(f"{host.name} knows {first.path}", answer["key"] == f"/library/metadata/{first.rating_key}")
        t.row("", t.dim("hosts do not share listings"))

        t.heading("2  One host records a match")
        key = f"/library/metadata/{first.rating_key}"
        record = self.recorded(a, ODD, key)
        self.waited((b, c), ODD, key, record["at"])

        t.heading("3  Another host invalidates the match")
        before = self.requests()
        record = b.ask("invalidate", b.path(ODD))
        t.row("B", f"invalidates {b.path(ODD)}")
        self.waited((a, c), ODD, None, record["at"])
        self.step("match and invalidation", before, 0)

        t.heading("4  PostgreSQL stops")
        self.cluster.stop()
        before = self.requests()
        for host in self.hosts:
            answer = host.ask("match", host.path(first))
            self.shown(host, answer, before, 0)
            self.check(f"{host.name} answers without PostgreSQL", answer["key"] == key)
        self.recorded(a, LATER, key)
        status = a.ask("status")
        t.row("A", f"PostgreSQL is reachable: {'yes' if status['reachable'] else 'no'}")
        self.step("while PostgreSQL is down", before, 0)

        t.heading("5  PostgreSQL starts again")
        before = self.requests()
        self.cluster.start()
        self.waited((b, c), LATER, key, time.time())
        status = a.ask("status")
        t.row("A", f"waits for delivery: {status['undelivered']}")
        self.check("A delivered everything", status["undelivered"] == 0)
        self.step("after PostgreSQL started again", before, 0)

        t.heading("Requests to Plex")
        for host in self.hosts:
            t.row(f"host {host.name}", self.kinds(host.ask("stats")) or "0")
        t.row("total", self.kinds(self.server.requests({})))
        t.row("", t.dim(f"counted by {self.server.counted_by}"))

    def requests(self) -> int:
        """Returns the number of requests so far."""
        return sum(self.server.requests({}).values())

    def kinds(self, counted: dict[str, int]) -> str:
        """Formats the number of requests of each kind."""
        counted = {kind: number for kind, number in counted.items() if kind not in ("seconds", "events") and number}
        return " · ".join(f"{kind} {number:,}" for kind, number in counted.items())

    def shown(self, host: HostProcess, answer: dict[str, Any], before: int, promised: int) -> None:
        """Shows an answer with its time and requests."""
        asked = self.requests() - before
        cost = f"{t.duration(answer['seconds'])} · {t.count(asked, 'request')}"
        t.row(host.name, f"{answer['title']} · {answer['kind']} · in {cost}")
        self.check(f"{host.name}: {asked} requests, expected at most {promised}", asked <= promised)

    def recorded(self, host: HostProcess, path: str, key: str) -> dict[str, Any]:
        """Records a match on a host."""
        record = host.ask("record", host.path(path), key)
        t.row(host.name, f"records {host.path(path)} → {key} in {t.duration(record['took'])}")
        return record

    def waited(self, hosts: tuple[HostProcess, ...], path: str, key: str | None, since: float) -> None:
        """Waits until ``hosts`` return a key for a path."""
        for host in hosts:
            host.begin("wait", host.path(path), key)
        for host in hosts:
            at = host.end()["at"]
            self.check(f"{host.name} learns of {path}", at is not None)
            if at is not None:
                says = key or "nothing"
                t.row(host.name, f"returns {says} for {host.path(path)} after {t.duration(max(0.0, at - since))}")

    def step(self, what: str, before: int, promised: int) -> None:
        """Shows a step's requests."""
        asked = self.requests() - before
        t.row("requests", f"{asked:,} to Plex")
        self.check(f"{what}: {asked} requests, expected at most {promised}", asked <= promised)

    def check(self, claim: str, holds: bool) -> None:
        """Records a claim that does not hold."""
        if not holds:
            self.broken.append(claim)

    def stop(self) -> None:
        """Ends the hosts."""
        for host in self.hosts:
            host.stop()


def main() -> int:
    """Runs the demo. Returns 1 if a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--standin", metavar="PATH", required=True, help="the stand-in server's binary")
    given = parser.parse_args()
    try:
        cluster = Cluster("fsync=off")
    except MissingError as error:
        t.say(str(error).strip())
        return 1
    # PostgreSQL, the stand-in and the hosts read this process's pipes, so they end with this process, even if it is
    # killed.
    try:
        server = StandIn(given.standin)
        try:
            demo = Demo(server, cluster)
            try:
                demo.run()
            finally:
                demo.stop()
        finally:
            server.stop()
    except KeyboardInterrupt:
        t.say("\ninterrupted")
        return 130
    finally:
        cluster.remove()
    for broken in demo.broken:
        t.say(f"\nunexpected: {broken}")
    return 1 if demo.broken else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--host"]:
        serve(*sys.argv[2:])
    else:
        sys.exit(main())
