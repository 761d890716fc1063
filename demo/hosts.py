"""Demonstrates several hosts: three indexes, each with its own folder, share matches through PostgreSQL.

    hosts.py --standin PATH/TO/standin

`make demo-hosts` runs this program. The demo measures every figure that it prints.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time
from pathlib import Path

import plexindex

from demo import SCREEN, StandIn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

from postgresql import Cluster, MissingError

ROOTS = {"A": "/mnt/nas", "B": "/volume1", "C": "/media"}
"""Each host's path for the server's `/data`."""
FILES = ("/incoming/xq-7.mkv", "/incoming/xq-8.mkv")
"""Files that Plex lists under other names, so a person records which films they are."""
PATIENCE = 30.0


class Demo:
    """Runs the steps. Collects the promises that do not hold."""

    def __init__(self, hosts: dict[str, plexindex.Index], server: StandIn, cluster: Cluster) -> None:
        self.hosts, self.server, self.cluster = hosts, server, cluster
        self.broken: list[str] = []

    def run(self) -> None:
        """Runs all steps."""
        (listed, key), (_, other) = self.server.items("Movies", None)[:2]
        key, other = (f"/library/metadata/{one}" for one in (key, other))
        self.heading("Each host fetches the library, because hosts share only what they record")
        for name, index in self.hosts.items():
            match = index.match(listed.replace("/data", ROOTS[name], 1))
            SCREEN.print(f"  {name}  {match!r}")
            self.check(f"{name} finds {listed}", match.key == key)
        before = self.requests()
        self.heading("A records a match")
        self.record("A", FILES[0], other)
        self.heading("B corrects it")
        self.record("B", FILES[0], key)
        self.heading("C takes it back, and Plex knows no such file")
        self.hosts["C"].invalidate_path(ROOTS["C"] + FILES[0])
        self.wait(FILES[0], None)
        self.heading("PostgreSQL stops, and A records another match")
        self.cluster.stop()
        self.hosts["A"].library("Movies").record_match(ROOTS["A"] + FILES[1], key)
        status = self.hosts["A"].shared.status()
        assert status is not None
        SCREEN.print(f"  A  undelivered: {status.get('undelivered')}, reachable: {status.get('reachable')}")
        self.check("A keeps what it could not deliver", status.get("undelivered") == 1)
        self.heading("PostgreSQL starts again")
        self.cluster.start()
        self.wait(FILES[1], key)
        SCREEN.print(f"\nRequests to Plex since all hosts had fetched the library: {self.requests() - before}")

    def heading(self, text: str) -> None:
        """Prints a step."""
        SCREEN.print(f"\n[bold]{text}[/bold]")

    def requests(self) -> int:
        """Returns the number of requests so far."""
        return sum(number for kind, number in self.server.requests("").items() if kind != "events")

    def record(self, name: str, file: str, key: str) -> None:
        """Records a match on one host, and waits until all hosts have it."""
        self.hosts[name].library("Movies").record_match(ROOTS[name] + file, key)
        self.wait(file, key)

    def wait(self, file: str, key: str | None) -> None:
        """Waits until each host returns a key for a file."""
        begun = time.perf_counter()
        for name, index in self.hosts.items():
            path = ROOTS[name] + file
            # What another host corrected is verified first, so a fast lookup would return nothing.
            while (found := index.match(path).key) != key and time.perf_counter() < begun + PATIENCE:
                time.sleep(0.001)
            self.check(f"{name} returns {key} for {path}", found == key)
            taken = (time.perf_counter() - begun) * 1000
            SCREEN.print(f"  {name}  returns {found or 'nothing'} for {path} after {taken:.0f} ms")

    def check(self, claim: str, holds: bool) -> None:
        """Records a claim that does not hold."""
        if not holds:
            self.broken.append(claim)


def main() -> int:
    """Runs the demo. Returns 1 if a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--standin", metavar="PATH", required=True, help="the stand-in server's binary")
    given = parser.parse_args()
    # The demo itself shows that PostgreSQL is down, so hide the warnings.
    os.environ["PGPASSWORD"] = "of the demo"
    logging.getLogger("plexindex").setLevel(logging.ERROR)
    with contextlib.ExitStack() as stack:
        try:
            cluster = Cluster(os.environ["PGPASSWORD"])
        except MissingError as error:
            SCREEN.print(str(error).strip())
            return 1
        stack.callback(cluster.remove)
        server = StandIn(given.standin)
        stack.callback(server.stop)
        hosts = {
            name: stack.enter_context(
                plexindex.open(
                    cluster.folder / name, server.url, server.token, shared=cluster.address, mappings=[(root, "/data")]
                )
            )
            for name, root in ROOTS.items()
        }
        demo = Demo(hosts, server, cluster)
        demo.run()
    for broken in demo.broken:
        SCREEN.print(f"\nunexpected: {broken}")
    return 1 if demo.broken else 0


if __name__ == "__main__":
    sys.exit(main())
