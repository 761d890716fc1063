"""Packages: one wheel for every Python 3 of the platform, an sdist with the Rust sources, versions and upgrades."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
import platform
import re
import shutil
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import REPOSITORY, Server, output, run, run_python
from plexindex._core import native as _native

pytestmark = pytest.mark.packaging

PACKAGE = REPOSITORY / "bindings/python"


def hatchling(target: str, folder: Path, package: Path, **environment: str) -> tuple[bool, str]:
    """Whether it was built, and what was printed."""
    words = ("build", "-t", target, "-d", folder)
    done = run(sys.executable, "-m", "hatchling", *words, cwd=package, env={**os.environ, **environment}, timeout=None)
    return done.returncode == 0, done.stdout + done.stderr


def build(target: str, folder: Path, package: Path = PACKAGE, **environment: str) -> Path:
    is_built, printed = hatchling(target, folder, package, **environment)
    assert is_built, printed
    (made,) = folder.iterdir()
    return made


def test_the_licences_are_those_of_each_crate() -> None:
    told = output("sh", REPOSITORY / "scripts/licences.sh")
    shown = ("--locked", "--offline", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}")
    linked = output("cargo", "tree", *shown, "--package=plexindex-capi", cwd=REPOSITORY).splitlines()
    crates = {line.replace(" (*)", "") for line in linked if not line.startswith("plexindex")}
    assert len(crates) > 50
    assert [crate for crate in crates if f"\n== {crate}: " not in told] == []
    assert "UNICODE LICENSE V3" in told


def copy_of_package(folder: Path) -> Path:
    left_out = shutil.ignore_patterns("__pycache__", "*.so", "*.dylib", "dist")
    return Path(shutil.copytree(PACKAGE, folder / "bindings/python", ignore=left_out))


def test_a_wheel_with_a_prebuilt_library(tmp_path: Path) -> None:
    library, version = Path(_native.load().path), plexindex.__version__
    package = copy_of_package(tmp_path)
    (package / "LICENSE-THIRD-PARTY").touch()  # as `make wheel` does
    (tmp_path / "scripts").symlink_to(REPOSITORY / "scripts")  # which make the manual page
    wheel = build("wheel", tmp_path / "dist", package, PLEXINDEX_PREBUILT=str(library))
    assert wheel.name.startswith(f"plexindex-{version}-py3-none-")
    assert not wheel.name.endswith("-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        packed = f"plexindex/libplexindex{library.suffix}"
        assert archive.read(packed) == library.read_bytes()
        metadata = archive.read(f"plexindex-{version}.dist-info/METADATA").decode()
        commands = archive.read(f"plexindex-{version}.dist-info/entry_points.txt").decode()
    assert {"plexindex/__init__.py", "plexindex/py.typed", "plexindex/_cli/doctor.py"} <= set(names)
    assert [name for name in names if name.endswith((".so", ".dylib", ".dll"))] == [packed]
    shared = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    assert shared == {
        "share/man/man1/plexindex.1",
        "share/bash-completion/completions/plexindex",
        "share/fish/vendor_completions.d/plexindex.fish",
        "share/zsh/site-functions/_plexindex",
    }
    assert "plexindex = plexindex.__main__:main" in commands
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert needed == ["Requires-Dist: tomli>=2; python_version < '3.11'"]
    assert "Requires-Python: >=3.9" in metadata
    assert "Author: The plexindex contributors" in metadata
    packed_licences = {name.rpartition("/")[2] for name in names if "/licenses/" in name}
    named = set(re.findall("^License-File: (.*)$", metadata, re.MULTILINE))
    assert packed_licences == named == {"LICENSE-MIT", "LICENSE-APACHE", "LICENSE-THIRD-PARTY"}
    page = metadata.partition("\n\n")[2]
    assert not re.search(r"\]\((?!https?:)|\bdocs/|`make ", page), "a checkout's file is not on a package's page"


@pytest.mark.parametrize(
    ("environment", "texts"),
    [
        ({"PLEXINDEX_PREBUILT": __file__}, ["no shared library"]),
        ({"PLEXINDEX_PREBUILT": "/nowhere/lib.so"}, ["PLEXINDEX_PREBUILT=/nowhere/lib.so"]),
        ({"PATH": "/nowhere", "CARGO": "", "PLEXINDEX_PREBUILT": ""}, ["no Rust", "https://rustup.rs"]),
    ],
    ids=["another file", "no library", "no compiler"],
)
def test_what_a_build_lacks_is_named(tmp_path: Path, environment: dict[str, str], texts: list[str]) -> None:
    is_built, printed = hatchling("wheel", tmp_path, PACKAGE, HOME=str(tmp_path), **environment)
    assert not is_built
    assert "Traceback" not in printed
    assert [text for text in texts if text not in printed] == []


@pytest.mark.skipif(os.name == "nt", reason="cargo is a script of a shell")
def test_a_compiled_library_has_tls_and_shares(tmp_path: Path) -> None:
    cargo, asked = tmp_path / "cargo", tmp_path / "asked"
    cargo.write_text(f'#!/bin/sh\necho "$@" >{asked}\nexit 1\n')
    cargo.chmod(0o755)
    assert not hatchling("wheel", tmp_path, PACKAGE, CARGO=str(cargo), PLEXINDEX_PREBUILT="")[0]
    chosen = [word for word in asked.read_text().split() if word.startswith(("--package", "--features", "--no-def"))]
    tree = output("cargo", "tree", "--offline", "--edges=normal", *chosen, cwd=REPOSITORY)
    assert "plexindex-sharing " in tree
    assert "rustls " in tree


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PACKAGE))
    return importlib.import_module("hatch_build")


@pytest.mark.parametrize(
    ("system", "machine", "tag"),
    [
        ("linux-x86_64", "x86_64", "linux_x86_64"),
        ("macosx-10.13-universal2", "arm64", "macosx_11_0_arm64"),
        ("macosx-10.13-universal2", "x86_64", "macosx_10_13_x86_64"),
        ("macosx-11.0-arm64", "arm64", "macosx_11_0_arm64"),
    ],
)
def test_the_tag_of_a_wheel(hook: Any, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, tag: str) -> None:
    monkeypatch.setattr(hook.sysconfig, "get_platform", lambda: system)
    monkeypatch.setattr(hook.platform, "machine", lambda: machine)
    assert hook.platform_tag() == tag


def index_of_a_stranger(folder: Path, packages: dict[str, str]) -> None:
    """Makes the folders of a package index with these packages, which are empty wheels."""
    for name, version in packages.items():
        (folder / name).mkdir(parents=True)
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / name / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")


# Dockerfile and the workflows install a wheel with this script.
def test_a_higher_version_on_the_public_index_is_not_installed(tmp_path: Path) -> None:
    build("wheel", tmp_path / "wheels", PLEXINDEX_PREBUILT=_native.load().path)
    needed = {"rich": "99", "tomli": "9"}
    index_of_a_stranger(tmp_path / "index", {**needed, "plexindex": "99"})
    output(sys.executable, "-m", "venv", tmp_path / "venv")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment["PATH"] = f"{tmp_path / 'venv/bin'}{os.pathsep}{environment['PATH']}"
        environment["PIP_INDEX_URL"] = f"http://127.0.0.1:{server.server_port}/"
        environment["PIP_CONFIG_FILE"] = os.devnull
        script = REPOSITORY / "scripts/install_wheel.sh"
        try:
            output("sh", script, tmp_path / "wheels", "[cli]", cwd=tmp_path, env=environment)
        finally:
            server.shutdown()
    listed = output(tmp_path / "venv/bin/pip", "list", "--format=freeze", env=environment).split()
    installed = dict(line.split("==") for line in listed)
    assert installed["plexindex"] == plexindex.__version__
    assert installed["rich"] == needed["rich"]
    assert not list(tmp_path.glob("wheel.*"))


def test_the_sdist_holds_what_cargo_needs_and_makes_a_wheel(tmp_path: Path) -> None:
    sdist = build("sdist", tmp_path / "sdist")
    # tarfile has filters from Python 3.11.4 on, and warns without one from 3.12 on.
    output("tar", "-xf", sdist, "-C", tmp_path, "--strip-components=1")
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    # cargo looks for lib.rs and main.rs below, and for no other file.
    assert {
        *(f"rust/{name}" for name in ("Cargo.lock", "build.rs", ".cargo/config.toml")),
        *("LICENSE-MIT", "LICENSE-APACHE", "src/plexindex/py.typed", "rust/include/plexindex.h"),
        *("rust/include/plexindex.schema.json", "rust/CHANGELOG.md", "rust/tests/python/test_answers.py"),
        "rust/bindings/c/src/functions/lookup.rs",
    } <= names
    assert not [name for name in names if name.endswith((".so", ".dylib", ".rlib", ".pyc")) or "/target/" in name]
    # A copy of the package alone has none of it, and what lies beside it is somebody else's.
    package = copy_of_package(tmp_path / "elsewhere/vendored")
    is_built, printed = hatchling("sdist", package / "dist", package)
    assert not is_built
    assert "Rust sources of plexindex are missing" in printed
    # All can be collected. Those of the stand-in server take minutes.
    for which in (["--collect-only", "tests/python"], ["tests/python/test_testing.py"]):
        options = ("-q", "-p", "no:cacheprovider")
        output(sys.executable, "-m", "pytest", *options, *which, cwd=tmp_path / "rust", timeout=None)
    described = ("--no-deps", "--format-version=1", f"--manifest-path={tmp_path / 'rust/Cargo.toml'}")
    output("cargo", "metadata", "--offline", "--locked", *described)
    # With a library that is there already: building one takes minutes. `make install` names it with its version.
    library, versioned = Path(_native.load().path), tmp_path / "libplexindex.so.0.1.0"
    shutil.copyfile(library, versioned)
    wheel = build("wheel", tmp_path / "dist", tmp_path, PLEXINDEX_PREBUILT=str(versioned))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"plexindex/libplexindex{library.suffix}") == library.read_bytes()
        assert not [name for name in archive.namelist() if name.startswith("rust/")]


def test_an_editable_install_finds_sources_and_library(tmp_path: Path) -> None:
    # What `pip install -e` does, in a copy: it puts the library beside the modules.
    package = copy_of_package(tmp_path)
    library = Path(_native.load().path)
    code = "import hatchling.build as b, sys; print(b.build_editable(sys.argv[1]))"
    environment = {**os.environ, "PLEXINDEX_PREBUILT": str(library)}
    made = output(sys.executable, "-c", code, tmp_path, cwd=package, env=environment).split()[-1]
    with zipfile.ZipFile(tmp_path / made) as archive:
        (pth,) = [name for name in archive.namelist() if name.endswith(".pth")]
        sources = archive.read(pth).decode().strip()
    assert Path(sources) == package / "src"
    code = "import sys; sys.path.insert(0, sys.argv[1])\nfrom plexindex._core import native\nprint(native.load().path)"
    printed = output(sys.executable, "-S", "-c", code, sources)
    assert Path(printed.strip()) == package / "src/plexindex" / f"libplexindex{library.suffix}"


# Each file that says which version its package has, and how.
SAID = {
    "CHANGELOG.md": r"^## (\S+)",
    "Cargo.toml": r'^plexindex-matching = .* version = "([\d.]+)"',
    "crates/sharing/Cargo.toml": r'^plexindex = .* version = "([\d.]+)"',
    "bindings/node/package.json": r'^  "version": "(.+)"',
    "bindings/python/src/plexindex/__init__.py": r'^__version__ = "(.+)"',
    "packaging/plexindex-config-version.cmake": r'PACKAGE_VERSION "(.+)"\)',
    "packaging/debian/changelog": r"^plexindex \((.+)-1\)",
}


def said(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{file.name} says no version"
    return found[1]


def version() -> str:
    return said(REPOSITORY / "Cargo.toml", r'^\[workspace\.package\]\nversion = "(.+)"')


@pytest.mark.parametrize("name", SAID)
def test_each_package_has_the_version_of_the_crate(name: str) -> None:
    assert said(REPOSITORY / name, SAID[name]) == version()


def test_the_header_has_it_as_a_number() -> None:
    major, minor, patch = map(int, version().split("."))
    number = said(REPOSITORY / "include/plexindex.h", r"^#define PLEXINDEX_VERSION_NUMBER (\d+)")
    assert int(number) == major * 1_000_000 + minor * 1000 + patch


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


# docs/abi.md says how a release comes here. What a store of an older format has, tests/behaviour/upgrade.rs proves.
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
