"""Several hosts, shown: three processes with a folder each share one PostgreSQL.

    hosts.py --standin PATH/TO/standin

Called by `make demo-hosts`. Every figure is measured in this run; the stand-in server counts the requests.
"""

from __future__ import annotations

import argparse
import json
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
"""What each host calls the server's `/data`."""
ODD = "/movies/incoming/xq-7.mkv"
LATER = "/movies/incoming/xq-8.mkv"
"""Files that Plex lists by other names: a person says which film they are."""


class HostProcess:
    """A host: a process of its own, with a folder of its own."""

    def __init__(self, name: str, server: StandIn, cluster: Cluster) -> None:
        self.name, self.root = name, ROOTS[name]
        folder = cluster.folder / f"host-{name}"
        child = str(Path(__file__).with_name("host.py"))
        self._process = subprocess.Popen(
            [sys.executable, child, str(folder), server.url, self.root],
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
        """Reads its answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"host {self.name} ended: its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, command: str, *arguments: object) -> dict[str, Any]:
        """Both."""
        self.begin(command, *arguments)
        return self.end()

    def path(self, item: Item | str) -> str:
        """A path of the server as this host writes it."""
        path = item if isinstance(item, str) else item.path.removeprefix("/data")
        return self.root + path

    def stop(self) -> None:
        """Ends it."""
        self._process.communicate()


class Demo:
    """The steps, in order."""

    def __init__(self, server: StandIn, cluster: Cluster) -> None:
        self.server, self.cluster = server, cluster
        self.broken: list[str] = []
        self.times: list[tuple[str, int]] = []
        self.hosts = [HostProcess(name, server, cluster) for name in ROOTS]

    def run(self) -> None:
        """All of it."""
        a, b, c = self.hosts
        first = self.server.first("Movies")
        t.say(t.bold(f"plexindex {plexindex.__version__}: several hosts, one listing") + "\n")
        t.row("server", self.server.name)
        t.row("PostgreSQL", "of this demo's own, on a Unix socket")
        for host in self.hosts:
            t.row(f"host {host.name}", f"a process with a folder of its own; it calls the server's /data {host.root}")

        t.heading("1  One host lists for all")
        for host, promised in ((a, 30), (b, 2), (c, 2)):
            before = self.requests()
            answer = host.ask("match", host.path(first))
            self.shown(host, answer, before, promised)
            self.check(f"{host.name} knows {first.path}", answer["key"] == f"/library/metadata/{first.rating_key}")
        t.row("", t.dim("A fetched 20,000 films from Plex; B and C took them from PostgreSQL"))

        t.heading("2  A match that one host confirms")
        key = f"/library/metadata/{first.rating_key}"
        told = self.recorded(a, ODD, key)
        self.waited((b, c), ODD, key, told["at"])

        t.heading("3  It was wrong: another host invalidates it")
        before = self.requests()
        told = b.ask("invalidate", b.path(ODD))
        t.row("B", f"invalidates {b.path(ODD)}")
        self.waited((a, c), ODD, None, told["at"])
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
        t.row("A", f"PostgreSQL answers: {'yes' if status['reachable'] else 'no'}")
        self.step("while PostgreSQL is away", before, 0)

        t.heading("5  PostgreSQL starts again")
        before = self.requests()
        self.cluster.start()
        self.waited((b, c), LATER, key, time.time())
        status = a.ask("status")
        t.row("A", f"entries that wait for PostgreSQL: {status['undelivered']}")
        self.check("all is delivered", status["undelivered"] == 0)
        self.step("after PostgreSQL came back", before, 0)

        t.heading("Requests to Plex")
        for host in self.hosts:
            t.row(f"host {host.name}", self.kinds(host.ask("stats")) or "0")
        t.row("in all", self.kinds(self.server.requests({})))
        t.row("", t.dim(f"as {self.server.counted_by} counted them"))

    def requests(self) -> int:
        """So far."""
        return sum(self.server.requests({}).values())

    def kinds(self, counted: dict[str, int]) -> str:
        """Counts by kind."""
        counted = {kind: number for kind, number in counted.items() if kind not in ("seconds", "events") and number}
        return " · ".join(f"{kind} {number:,}" for kind, number in counted.items())

    def shown(self, host: HostProcess, answer: dict[str, Any], before: int, promised: int) -> None:
        """An answer with its time and requests."""
        asked = self.requests() - before
        cost = f"{t.duration(answer['seconds'])} · {t.count(asked, 'request')}"
        t.row(host.name, f"{answer['title']} · {answer['kind']} · in {cost}")
        self.check(f"{host.name}: {asked} requests, promised were {promised}", asked <= promised)

    def recorded(self, host: HostProcess, path: str, key: str) -> dict[str, Any]:
        """A confirmed match."""
        told = host.ask("record", host.path(path), key)
        t.row(host.name, f"records {host.path(path)} → {key} in {t.duration(told['took'])}")
        return told

    def waited(self, hosts: tuple[HostProcess, ...], path: str, key: str | None, since: float) -> None:
        """Until other hosts know something."""
        for host in hosts:
            host.begin("wait", host.path(path), key)
        for host in hosts:
            at = host.end()["at"]
            self.check(f"{host.name} learns of {path}", at is not None)
            if at is not None:
                says = key or "nothing"
                t.row(host.name, f"answers {host.path(path)} with {says} after {t.duration(max(0.0, at - since))}")

    def step(self, what: str, before: int, promised: int) -> None:
        """The requests of a step."""
        asked = self.requests() - before
        t.row("requests", f"{asked:,} to Plex")
        self.check(f"{what}: {asked} requests, promised were {promised}", asked <= promised)

    def check(self, claim: str, holds: bool) -> None:
        """Remembers what does not hold."""
        if not holds:
            self.broken.append(claim)

    def stop(self) -> None:
        """Ends the hosts."""
        for host in self.hosts:
            host.stop()


def main() -> int:
    """Runs the demo; 1 when something was not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--standin", metavar="PATH", required=True, help="the stand-in server's binary")
    given = parser.parse_args()
    try:
        cluster = Cluster("fsync=off")
    except MissingError as error:
        t.say(str(error).strip())
        return 1
    # The cluster, the stand-in and the hosts end with this process, however it ends: they read its pipes.
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
        t.say(f"\nnot as promised: {broken}")
    return 1 if demo.broken else 0


if __name__ == "__main__":
    sys.exit(main())
