"""A store goes from a released version to this one. docs/abi.md says how a release comes here. What a store of an older
format has after its migration, tests/behaviour/upgrade.rs proves.
"""

from __future__ import annotations

import hashlib
import json
import platform
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY, Server, run_python

pytestmark = pytest.mark.packaging

VERSIONS = (REPOSITORY / "tests/release/versions").read_text("utf-8").splitlines()
STEP = """
import json, sys
import plexindex
url, token, folder, rows, learn = sys.argv[1:]
with plexindex.open(folder, server_url=url, token=token, retry_for=0) as index:
    movies = index.library("Movies")
    with open(rows, encoding="utf-8") as file:
        rows = json.load(file)
    for row in rows:
        assert movies.match(row["path"]).rating_key == row["ratingKey"]
    if learn:
        movies.record_match("/of mine.mkv", rows[0]["ratingKey"])
    assert movies.match("/of mine.mkv").rating_key == rows[0]["ratingKey"]
    print(plexindex.__file__)
"""


def released() -> list[str]:
    """The wheels for this machine that tests/release/versions names."""
    names = [line.split()[1] for line in VERSIONS if not line.startswith("#")]
    return [name for name in names if "manylinux" in name and name.endswith(f"_{platform.machine()}.whl")]


@pytest.mark.parametrize("name", released())
def test_a_store_is_upgraded_and_downgraded(name: str, server: Server, cache: Path, tmp_path: Path) -> None:
    wheel, old = REPOSITORY / "build/released" / name, tmp_path / "old"
    if not wheel.is_file():
        pytest.skip(f"not in build/released: {name}")
    assert f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {name}" in VERSIONS, f"{wheel} is another file"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(old)
    listed = tmp_path / "rows.json"
    listed.write_text(json.dumps(server.paths()), encoding="utf-8")

    def use(package: Path | str, learn: str = "") -> str:
        """Opens the store with the package of a folder, or with the installed one."""
        environment = {"PYTHONPATH": str(package), "PLEXINDEX_LIBRARY": ""}
        return run_python(STEP, server.url, server.token, cache, listed, learn, environment=environment)

    assert use(old, learn="yes").startswith(str(old))
    server.reset()
    assert not use("").startswith(str(old))
    assert server.requests() == 0
    use(old)
