"""Bytes for each item: the mapped files, and all that lies on the disk."""

from __future__ import annotations

from ..run import Run
from ..timing import Spread
from ..world import World


def measure(run: Run, world: World) -> None:
    """Of the store as it was fetched."""
    files = [(file, file.stat()) for file in world.store.iterdir() if file.is_file()]
    warm = sum(facts.st_size for file, facts in files if file.suffix == ".segment")
    disk = sum(facts.st_blocks * 512 for _, facts in files)
    note = "for each item, in memory or mapped"
    row = next((row for row in run.results.rows if row.name == "memory" and row.size == world.size), None)
    row = row or run.results.row("memory", "Size", world.size, "B", note)
    row.add("plexindex, mapped file", Spread.of([warm / world.items]), ours=True, note="shared by all processes")
    row = run.results.find("bytes on disk", world.size)[0] or run.results.row("bytes on disk", "Size", world.size, "B")
    note = "items with titles, GUIDs, shows and all files, the mapped file included"
    row.add("plexindex", Spread.of([disk / world.items]), ours=True, note=note)
    built = run.results.row("first fetch", "Fetch and store a library", world.size, note="pages rendered meanwhile")
    built.add("plexindex, cold server", Spread.of([world.first_fetch]), ours=True)
