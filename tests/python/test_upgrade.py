"""A store goes from a released version, or an older format, to this version. docs/abi.md says how a release comes
here.

This version, in another folder, stands for a released one: it shows that the test can pass and fail.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import zipfile
from pathlib import Path

import plexindex
import pytest
from conftest import REPOSITORY, Server, run_python

pytestmark = pytest.mark.packaging

THIS = "this version"
MINE = "/a/path/of mine.mkv"
STORES = REPOSITORY / "tests" / "release" / "stores"
VERSIONS = REPOSITORY / "tests" / "release" / "versions"
RELEASED = REPOSITORY / "build" / "released"
STEP = f"""
import json, sys
import plexindex
url, token, folder, rows, learn = sys.argv[1:]
with plexindex.open(folder, server_url=url, token=token, retry_for=0) as index:
    movies = index.library("Movies")
    with open(rows, encoding="utf-8") as file:
        rows = json.load(file)
    wrong = [row["path"] for row in rows if movies.match(row["path"]).rating_key != row["ratingKey"]]
    if learn:
        movies.record_match({MINE!r}, str(movies.match(rows[0]["path"]).key))
    print(json.dumps([plexindex.__file__, len(rows) - len(wrong), str(movies.match({MINE!r}).rating_key)]))
"""


def released() -> list[str]:
    """The wheels for this machine that tests/release/versions names."""
    lines = [line.split() for line in VERSIONS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [name for _, name in lines if "manylinux" in name and name.endswith(f"_{platform.machine()}.whl")]


def unpack(name: str, folder: Path) -> Path:
    """A folder with that version's package, for PYTHONPATH."""
    if name == THIS:
        shutil.copytree(Path(plexindex.__file__).parent, folder / "plexindex")
        return folder
    wheel = RELEASED / name
    if not wheel.is_file():
        pytest.skip(f"not in build/released: {name}")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert f"{digest}  {name}" in VERSIONS.read_text(encoding="utf-8").splitlines(), f"{wheel} is another file"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


class Store:
    """A folder that processes of several versions open one after another."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder, self.rows = server, folder, server.paths()
        self.listed = folder.with_name("rows.json")
        self.listed.write_text(json.dumps(self.rows), encoding="utf-8")

    def use(self, package: Path | None = None, learn: str = "") -> int:
        """Opens it with the package of a folder, or with the installed one. Returns the number of requests."""
        self.server.reset()
        environment = {"PYTHONPATH": str(package or ""), "PLEXINDEX_LIBRARY": ""}
        arguments = (self.server.url, self.server.token, self.folder, self.listed, learn)
        file, right, mine = json.loads(run_python(STEP, *arguments, environment=environment))
        assert Path(file).parent == (package / "plexindex" if package else Path(plexindex.__file__).parent)
        assert right == len(self.rows) == 300
        assert mine == self.rows[0]["ratingKey"]
        return self.server.requests()

    def upgrade(self, old: Path) -> None:
        """The old version fills it; this one has all of it without a request; the old one still works."""
        assert self.use(old, learn="yes") > 0
        assert self.use() == 0
        self.use(old)


@pytest.mark.parametrize("name", [THIS, *released()])
def test_a_store_is_upgraded_and_downgraded(name: str, server: Server, cache: Path, tmp_path: Path) -> None:
    Store(server, cache).upgrade(unpack(name, tmp_path / "old"))


@pytest.mark.parametrize("store", sorted(STORES.iterdir()), ids=lambda store: f"format {store.name}")
def test_a_store_of_each_older_format_has_what_was_recorded(store: Path, cache: Path) -> None:
    # tests/behaviour/upgrade.rs makes the stores and says what is in them.
    shutil.copytree(store, cache)
    with plexindex.open(cache, server_url="http://127.0.0.1:32499", token="a-token-of-stores", offline=True) as index:
        movies = index.library("Movies")
        for number in range(700):
            path = f"{'/mnt' if number % 7 else '/data/movies'}/{number}.mkv"
            assert movies.match(path).key == f"/library/metadata/{1001 + number % 10}", path
        assert index.call("tables.count", {"table": b"Notes"})["count"] == 501


def test_a_store_that_this_version_cannot_read_shows(server: Server, cache: Path, tmp_path: Path) -> None:
    class Broken(Store):
        def use(self, package: Path | None = None, learn: str = "") -> int:
            done = super().use(package, learn)
            for file in cache.rglob("*"):
                if file.is_file():
                    file.write_bytes(b"of another format")
            return done

    with pytest.raises(AssertionError):
        Broken(server, cache).upgrade(unpack(THIS, tmp_path / "old"))
