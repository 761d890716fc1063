"""Several hosts that share one log in PostgreSQL, against hosts that share nothing, and a table that each path asks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plexindex
from postgresql import Cluster, MissingError

from ..run import BENCH, Run, environment
from ..timing import Spread, WrongAnswerError, check, each, interleaved
from ..world import HOST, LIBRARY, SERVER

if TYPE_CHECKING:
    from ..world import World

GROUP = "Several hosts"
HOSTS, RATE = 10, 100
DAY_ITEMS = 600
REQUESTS = "requests"
COUNTS = ("identity", "sections", "listing", "search", "metadata", "all")


class Host:
    """A process of ``children/host.py``."""

    def __init__(self, world: World, store: Path, shared: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(BENCH / "children" / "host.py"), "serve", str(store)],
            env={**environment(world), "BENCH_SHARED": shared},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, command: str, *arguments: object) -> None:
        """Sends a command."""
        assert self._process.stdin is not None
        print(json.dumps([command, *arguments]), file=self._process.stdin, flush=True)

    def end(self) -> Any:
        """Reads its answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WrongAnswerError("a host ended")
        return json.loads(line)

    def ask(self, command: str, *arguments: object) -> Any:
        """Both."""
        self.begin(command, *arguments)
        return self.end()

    def stop(self) -> None:
        """Ends it."""
        self._process.communicate()


@contextmanager
def hosts(world: World, stores: list[Path], shared: str) -> Iterator[list[Host]]:
    """Hosts over these folders."""
    started = [Host(world, store, shared) for store in stores]
    try:
        yield started
    finally:
        for host in started:
            host.stop()


def measure(run: Run, world: World) -> None:
    """All of it. What does not depend on the size is measured once."""
    with started(run, world) as cluster:
        if cluster is None:
            return
        new_hosts(run, world, cluster)
        if world.size == run.results.sizes[0]:
            day(run)
            exchange(run, world, cluster)
            idle(run, world, cluster)
            paced(run, world, cluster)
        if world.size == run.results.sizes[-1]:
            lookups(run, world, cluster)
            opening(run, world, cluster)
            table(run, world, cluster)


def scale(run: Run, world: World) -> None:
    """A new host only."""
    with started(run, world) as cluster:
        if cluster is not None:
            new_hosts(run, world, cluster)


@contextmanager
def started(run: Run, world: World) -> Iterator[Cluster | None]:
    """A cluster with a first host's listing; None if PostgreSQL is not installed."""
    run.say(f"{world.size:,}: several hosts")
    try:
        # Durable, as an installed one is.
        cluster = Cluster("max_connections=60")
    except MissingError as error:
        run.results.absent["PostgreSQL"] = str(error).splitlines()[0]
        yield None
        return
    try:
        run.results.machine["PostgreSQL"] = cluster.sql("SHOW server_version")
        folder = world.folder / "first-host"
        with hosts(world, [folder], cluster.address) as (host,):
            if host.ask("refresh") != world.items:
                raise WrongAnswerError("the first host has not all items")
        yield cluster
    finally:
        cluster.remove()
        for folder in world.folder.glob("*-host*"):
            shutil.rmtree(folder)


def new_hosts(run: Run, world: World, cluster: Cluster) -> None:
    """A host without a folder: by the log, and by a listing from Plex, which is what it costs without the log."""
    asked = world.questions["exact"]
    path, key = asked.paths[0].decode(), asked.answers[0]
    found: dict[str, list[dict[str, Any]]] = {"shared": [], "alone": []}
    for number in range(3):
        for who, shared in (("shared", cluster.address), ("alone", "")):
            before = world.server.requests()
            command = [sys.executable, "-I", str(BENCH / "children" / "host.py")]
            variables = {**environment(world), "BENCH_SHARED": shared}
            store = world.folder / f"{who}-host-{number}"
            _, printed = run.program(command, "new", store, path, key, variables=variables)
            printed["requests"] = world.server.requests() - before
            found[who].append(printed)
            shutil.rmtree(store)
    names = {"shared": "plexindex, shared", "alone": "plexindex, from Plex"}
    for name, field, unit, note in (
        ("new host", "seconds", "s", "open, and the first answer: Python, without a folder before"),
        ("new host, requests", "requests", REQUESTS, "to Plex, as the stand-in counts them"),
        ("new host, peak", "peak", "B", "the process's peak (VmHWM), Python included"),
    ):
        row = run.results.row(name, GROUP, world.size, unit, note)
        for who, ours in (("shared", True), ("alone", False)):
            row.add(names[who], Spread.of(one[field] for one in found[who]), ours=ours)
    sql = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'plexindex'::regnamespace"
    took = int(cluster.sql(f"{sql} AND relkind = 'r'"))
    note = "tables and indexes, for each item of one listing"
    size = run.results.row("size in PostgreSQL", GROUP, world.size, "B", note)
    size.add("plexindex", Spread.of([took / world.items]), ours=True)


def day(run: Run) -> None:
    """Ten hosts ask what one asks, each of its own: a Rust test, since its clock can be set."""
    if not run.day:
        run.results.absent["a day of ten hosts"] = "it is a Rust test, and no cargo was found"
        return
    run.say("a day of ten hosts")
    done = subprocess.run(run.day, shell=True, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S602
    found = re.search(r"all: one (\S+) turns (\S+) all (\S+) spread (\S+) alone (\S+)", done.stdout)
    if found is None:
        # It fails where a goal is missed, and prints the counts before.
        raise WrongAnswerError(f"the test of a day printed no counts: {done.stdout[-500:]}")
    counts = [[int(count) for count in text.split(",")] for text in found.groups()]
    note = "24 hours; each hour 10 listed files, which are recorded, a new one, and one that Plex lacks"
    row = run.results.row("requests of a day", GROUP, DAY_ITEMS, REQUESTS, note)
    who = (
        ("one host", False, ""),
        ("plexindex, ten hosts", True, "each question is asked once, by one of them"),
        ("plexindex, ten hosts that all ask at once", True, "ten times the questions"),
        ("plexindex, ten hosts that all ask, six minutes apart", True, "ten times the questions"),
        ("ten hosts that share nothing", False, "all ask at once"),
    )
    for (name, ours, said), of in zip(who, counts):
        kinds = ", ".join(f"{kind} {count}" for kind, count in zip(COUNTS[:-1], of) if count)
        told = f"{said}: {kinds}" if said else kinds
        row.add(name, Spread.of([of[-1]]), ours=ours, ranked=name != "one host", note=told)


def two_hosts(world: World, name: str) -> list[Path]:
    """Two folders with the listing."""
    stores = [world.folder / f"{name}-host-{which}" for which in "ab"]
    for store in stores:
        shutil.rmtree(store, ignore_errors=True)
    return stores


def exchange(run: Run, world: World, cluster: Cluster) -> None:
    """Recorded on one host, answered on the other."""
    run.say(f"{world.size:,}: recorded on one host, answered on another")
    asked = world.questions["exact"]
    used, key = asked.paths[1].decode(), asked.answers[0]
    note = "from the end of record_match to a fast lookup of another process that answers so"
    rounds = 40 if run.quick else 200
    ways = (("both follow", (True, True), rounds), ("neither follows", (False, False), 3 if run.quick else 8))
    for name, follows, count in ways:
        with hosts(world, two_hosts(world, "exchange"), cluster.address) as (one, two):
            for host, follow in zip((one, two), follows):
                host.ask("refresh")
                if follow:
                    host.ask("follow")
            taken = []
            for number in range(count):
                path = f"{HOST}/movies/incoming/{name}-{number}.mkv"
                two.begin("wait", path, key, used)
                # At another moment of what either does every few seconds.
                time.sleep(0.02 + number % 7 * (0.011 if all(follows) else 0.9))
                at = one.ask("record", path, key)
                known = two.end()
                if known < 0:
                    raise WrongAnswerError(f"{path} was not answered within 30 s: {name}")
                taken.append(max(0.0, known - at))
        row = run.results.row(f"recorded and answered, {name}", GROUP, world.size, note=note)
        row.add("plexindex", Spread.of(taken), ours=True)
        taken.sort()
        row.add("plexindex: p99", Spread.of([taken[int(len(taken) * 0.99)]]), ranked=False)


def idle(run: Run, world: World, cluster: Cluster) -> None:
    """Queries of hosts that do nothing: PostgreSQL logs each of them."""
    run.say(f"{world.size:,}: hosts that do nothing")
    seconds = 15 if run.quick else 30
    row = run.results.row("queries of an idle host in 5 s", GROUP, world.size, "queries", f"in {seconds} s")
    for name, follow in (("plexindex, follows", True), ("plexindex", False)):
        with hosts(world, two_hosts(world, "idle"), cluster.address) as started_hosts:
            for host in started_hosts:
                host.ask("refresh")
                if follow:
                    host.ask("follow")
            time.sleep(6)
            cluster.sql("ALTER SYSTEM SET log_statement = 'all'")
            cluster.sql("SELECT pg_reload_conf()")
            time.sleep(0.5)
            before = queries(cluster)
            time.sleep(seconds)
            counted = queries(cluster) - before
            cluster.sql("ALTER SYSTEM RESET log_statement")
            cluster.sql("SELECT pg_reload_conf()")
        row.add(name, Spread.of([counted / len(started_hosts) / seconds * 5]), ours=True)


def queries(cluster: Cluster) -> int:
    """Statements in the server's log."""
    text = cluster.log.read_text(errors="replace")
    return len(re.findall(r"(?:statement|execute [^:]*): ", text))


def paced(run: Run, world: World, cluster: Cluster) -> None:
    """Ten hosts record so many matches a second, with the log and without."""
    seconds = 5 if run.quick else 20
    run.say(f"{world.size:,}: {HOSTS} hosts record {RATE} a second, {seconds} s")
    key = world.questions["exact"].answers[0]
    source = world.folder / "paced-host"
    rows = {
        kind: run.results.row(
            f"record on ten hosts, {kind}", GROUP, world.size, note=f"record_match, {RATE} a second on each host"
        )
        for kind in ("p50", "p99", "max")
    }
    for who, shared, ours in (("plexindex, shared", cluster.address, True), ("plexindex, not shared", "", False)):
        stores = [world.folder / f"paced-host-{number}" for number in range(HOSTS)]
        for store in [source, *stores]:
            shutil.rmtree(store, ignore_errors=True)
        with hosts(world, stores, shared) as started_hosts:
            for host in started_hosts:
                host.ask("refresh")
            for number, host in enumerate(started_hosts):
                host.begin("pace", f"{HOST}/movies/paced/{number}", key, RATE, seconds)
            answers = [host.end() for host in started_hosts]
            errors = [error for answer in answers for error in answer["errors"]]
            times = sorted(took * 1e-9 for answer in answers for took in answer["times"])
            until = time.monotonic() + 60
            while shared and time.monotonic() < until and any(host.ask("undelivered") > 0 for host in started_hosts):
                time.sleep(0.1)
            waiting = sum(host.ask("undelivered") for host in started_hosts) if shared else 0
        if errors or waiting:
            raise WrongAnswerError(f"{who}: {len(errors)} errors, {errors[:1]}; {waiting} were not delivered")
        rate = len(times) / max(answer["seconds"] for answer in answers)
        for kind, at in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            took = times[min(len(times) - 1, int(len(times) * at))]
            rows[kind].add(who, Spread.of([took]), ours=ours, note=f"{rate:,.0f} a second in all, no error")
    facts = run.results.facts
    facts["matches in the log after ten hosts recorded"] = int(
        cluster.sql("SELECT count(*) FROM plexindex.entries WHERE kind = 4")
    )


def lookups(run: Run, world: World, cluster: Cluster) -> None:
    """Warm lookups and hits of match_path in C, with the option and without, of one store."""
    store = world.folder / "lookups-host"
    shutil.copytree(world.store, store)
    pairs = world.questions["exact"].write(world.folder / "hosts-pairs")
    ways = {"plexindex, shared": cluster.address, "plexindex, not shared": ""}

    def call(how: str, shared: str) -> Callable[[int], float]:
        def measure(number: int) -> float:
            command = [str(run.native), *map(str, run.c_arguments("warm", store, pairs, how, 1, number))]
            _, times = run.program(command, variables={**environment(world), "PLEXINDEX_BENCH_SHARED": shared})
            return float(times[0]) * 1e-9

        return measure

    for how, name in (("lookup", "plexindex_lookup_key"), ("match", "plexindex_match_path")):
        run.say(f"{world.size:,}: {name} with a shared log")
        spreads = interleaved(run.rounds * 2, [(who, call(how, shared)) for who, shared in ways.items()])
        row = run.results.row(f"{name}, several hosts", GROUP, world.size, note="C, exact paths")
        row.add("plexindex, shared", spreads["plexindex, shared"], ours=True)
        row.add("plexindex, not shared", spreads["plexindex, not shared"])


def opening(run: Run, world: World, cluster: Cluster) -> None:
    """A new process in C: load, open, the first answer and closing."""
    run.say(f"{world.size:,}: opening with a shared log")
    store = world.folder / "lookups-host"
    one = world.questions["exact"].write(world.folder / "hosts-one", 1)
    steps: dict[str, dict[str, list[float]]] = {}

    def start(who: str, shared: str) -> Callable[[int], float]:
        def measure(_number: int) -> float:
            command = [str(run.native), *map(str, run.c_arguments("first", store, one, "match"))]
            _, times = run.program(command, variables={**environment(world), "PLEXINDEX_BENCH_SHARED": shared})
            for step, took in times.items():
                steps.setdefault(who, {}).setdefault(step, []).append(took * 1e-9)
            return float(sum(times[step] for step in ("load", "open", "library", "ask"))) * 1e-9

        return measure

    ways = {
        "plexindex, shared": cluster.address,
        "plexindex, PostgreSQL away": "postgresql://postgres@/plexindex?host=/nonexistent",
        "plexindex, not shared": "",
    }
    spreads = interleaved(run.rounds * 3, [(who, start(who, shared)) for who, shared in ways.items()])
    whole = run.results.row("opening, several hosts", GROUP, world.size, note="load, open, first answer: C")
    close = run.results.row("closing, several hosts", GROUP, world.size, note="C, nothing was written")
    for who, shared in ways.items():
        whole.add(who, spreads[who], ours=bool(shared))
        close.add(who, Spread.of(steps[who]["close"]), ours=bool(shared))


def table(run: Run, world: World, cluster: Cluster) -> None:
    """A plain table in PostgreSQL that is asked for each path, on the same socket, against a host's own folder."""
    try:
        import psycopg
    except ImportError as error:
        run.results.absent["psycopg"] = str(error)
        return
    run.say(f"{world.size:,}: a plain table in PostgreSQL")
    count = min(5_000, len(world.questions["exact"].paths))
    store = world.folder / "lookups-host"
    with psycopg.connect(cluster.address, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE paths (path text PRIMARY KEY, key text NOT NULL)")
        pairs = dict(world.pairs)
        with cursor.copy("COPY paths FROM STDIN") as copy:
            for pair in pairs.items():
                copy.write_row(pair)
        cursor.execute("ANALYZE paths")

        def get(path: str) -> object:
            found = cursor.execute("SELECT key FROM paths WHERE path = %s", (path,), prepare=True).fetchone()
            return found and found[0]

        def peer(number: int) -> float:
            paths, answers = world.questions["exact"].fresh(number, count)
            seconds, found = each(get, paths)
            check("a table in PostgreSQL", paths, found, answers)
            return seconds

        with plexindex.open(
            store,
            world.server.url,
            world.server.token,
            shared=cluster.address,
            library_ttl=None,
            mappings=[(HOST, SERVER)],
        ) as index:
            library = index.library(LIBRARY)

            def ours(number: int) -> float:
                paths, answers = world.questions["exact"].fresh(number, count)
                seconds, found = each(library.lookup_key, paths)
                check("lookup_key", paths, found, answers)
                return seconds

            spreads = interleaved(run.rounds, [("plexindex lookup_key", ours), ("a table in PostgreSQL", peer)])
        row = run.results.row("lookup on a host", GROUP, world.size, note="Python, each path")
        row.add("plexindex lookup_key", spreads["plexindex lookup_key"], ours=True, note="shared")
        row.add(
            "a table in PostgreSQL", spreads["a table in PostgreSQL"], note="psycopg, a prepared statement, a socket"
        )
        size = cursor.execute("SELECT pg_total_relation_size('paths')").fetchone()
    if size:
        of_size = run.results.find("size in PostgreSQL", world.size)[0]
        if of_size:
            note = "path and key alone, no titles"
            of_size.add("a table in PostgreSQL", Spread.of([int(size[0]) / len(pairs)]), note=note)
