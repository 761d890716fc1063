"""The wheels that are given away are what their names say, and the release calls what there is."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import build_dist
import make_wheels
from platforms import PLATFORMS, Platform

pytestmark = pytest.mark.packaging

pytest.importorskip("hatchling")
pytest.importorskip("auditwheel")

PYTHON = Path(sys.executable)
WORKFLOW = REPOSITORY / ".github/workflows/release.yml"
linux = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the library of these tests is none for manylinux")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that says it is for glibc 2.5, with a small library of glibc 2.25."""
    folder = tmp_path_factory.mktemp("wheel")
    library = folder / "libplexindex.so"
    (folder / "small.c").write_text(
        "int getrandom(void*, unsigned long, unsigned); int f() { return getrandom(0, 0, 0); }"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(folder / "small.c")], check=True)
    old = Platform(f"{platform.machine()}-unknown-linux-gnu", f"manylinux_2_5_{platform.machine()}")
    accelerator = Path(shutil.copyfile(library, folder / "accelerator.so"))
    return make_wheels.pack(PYTHON, old, {"cdylib": library, "accelerator": accelerator}, folder / "wheels")


@linux
def test_a_wheel_that_promises_too_much_is_refused(wheel: Path) -> None:
    with pytest.raises(
        make_wheels.WheelError, match=r"tagged manylinux_2_5_\w+, and its library needs manylinux_2_2\d"
    ):
        make_wheels.check(PYTHON, wheel)


@linux
def test_a_wheel_that_keeps_its_promise_passes(wheel: Path, tmp_path: Path) -> None:
    glibc = platform.libc_ver()[1].replace(".", "_")
    name = wheel.name.replace("manylinux_2_5", f"manylinux_{glibc}")
    make_wheels.check(PYTHON, Path(shutil.copyfile(wheel, tmp_path / name)))


@linux
@pytest.mark.parametrize("file", [*make_wheels.IN_PACKAGE, "licenses/LICENSE-MIT"])
def test_a_wheel_that_lacks_a_file_is_refused(wheel: Path, tmp_path: Path, file: str) -> None:
    less = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(less, "w") as archive:
        for name in whole.namelist():
            if not name.endswith(file):
                archive.writestr(name, whole.read(name))
    with pytest.raises(make_wheels.WheelError, match=rf"lacks \S*{re.escape(file)}"):
        make_wheels.check(PYTHON, less)


@linux
def test_a_wheel_that_names_the_builders_folders_is_refused(wheel: Path, tmp_path: Path) -> None:
    told = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(told, "w") as archive:
        for name in whole.namelist():
            path = os.fsencode(next(iter(build_dist.folders()))) if name.endswith(".so") else b""
            archive.writestr(name, whole.read(name) + path)
    with pytest.raises(make_wheels.WheelError, match=rf"names {re.escape(str(REPOSITORY))}: remove target"):
        make_wheels.check(PYTHON, told)


def test_the_tag_stands_in_the_wheel_too(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
        said = archive.read(name).decode()
    assert f"Tag: py3-none-manylinux_2_5_{platform.machine()}\n" in said
    assert "Root-Is-Purelib: false" in said


@pytest.mark.parametrize(
    ("tag", "needed", "enough"),
    [
        ("manylinux_2_17_x86_64", "manylinux_2_12_x86_64", True),
        ("manylinux2014_x86_64", "manylinux_2_17_x86_64", True),
        ("manylinux2014_x86_64", "manylinux_2_18_x86_64", False),
        ("manylinux_2_9_x86_64", "manylinux_2_17_x86_64", False),
        ("manylinux_2_17_aarch64", "manylinux_2_17_x86_64", False),
        ("musllinux_1_2_x86_64", "musllinux_1_2_x86_64", True),
        ("musllinux_1_2_x86_64", "manylinux_2_17_x86_64", False),
        ("manylinux_2_17_x86_64", "linux_x86_64", False),
    ],
)
def test_which_tag_is_enough(tag: str, needed: str, enough: bool) -> None:
    assert make_wheels.is_enough(tag, needed) is enough


@pytest.mark.parametrize("name", ["musllinux_armv7l", "musllinux_armv6l"])
def test_pip_takes_no_wheel_for_the_oldest_arm(name: str, tmp_path: Path) -> None:
    """Stash has containers for arm/v6. A wheel for arm/v7 would end a program there, so the host has to go on alone."""
    for one in filter(lambda one: one.tags, PLATFORMS.values()):
        (tmp_path / f"plexindex-0.1.0-py3-none-{one.tags}.whl").touch()
    platform = name.replace("musllinux", "musllinux_1_2")
    pip = [str(PYTHON), "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "--only-binary=:all:"]
    options = [f"--find-links={tmp_path}", f"--platform={platform}", f"--target={tmp_path}", "plexindex"]
    done = subprocess.run([*pip, *options], check=False, capture_output=True, text=True)
    # The files are empty: pip names the one that it takes, and that there is none.
    said = done.stdout + done.stderr
    assert (f"{platform}.whl" in said) is (name in PLATFORMS), said
    assert ("from versions: none" in said) is (name not in PLATFORMS), said


def test_the_licences_of_what_is_inside_are_there(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/THIRD-PARTY")]
        said = archive.read(name).decode()
    assert re.search(r"^rusqlite [\d.]+: MIT$", said, re.MULTILINE)
    assert "ring" in said
    assert "proptest" not in said  # tests are not in the library


def test_licences_are_the_repositorys() -> None:
    for name in ("LICENSE-APACHE", "LICENSE-MIT"):
        assert (REPOSITORY / "bindings/python" / name).read_bytes() == (REPOSITORY / name).read_bytes()


def test_the_release_calls_what_there_is() -> None:
    workflow = WORKFLOW.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    called = re.findall(r"\bmake ([a-z-]+)", workflow)
    assert {"release", "try-release"} <= set(called)
    assert set(called) <= targets
    assert "- run: .ci/run\n" in workflow
    assert (REPOSITORY / ".ci/run").is_file()
    # The first job that adds some makes the files; another one tries those for Windows.
    added, *more = (
        set(subprocess.check_output(["bash", "-c", f"echo {one}"], text=True).split())
        for one in re.findall(r"rustup target add (.*)", workflow)
    )
    assert added == {one.triple for one in PLATFORMS.values()}
    assert all(one <= added for one in more)
