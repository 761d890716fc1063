"""What `make install` installs is whole, keeps to itself, and goes again.

PLEXINDEX_STANDIN names the `standin` binary: `make test-install` sets it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.packaging

TOKEN = "test-token-never-stored"
CC, CXX = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
EXAMPLES = REPOSITORY / "examples/c"


def run(*command: str | Path, **options: object) -> str:
    """What a command prints; its errors are shown when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    printed: str = done.stdout
    return printed


def make(target: str, **variables: str | Path) -> str:
    """`make` in the repository."""
    given = [f"{name}={value}" for name, value in variables.items()]
    return run("make", "--no-print-directory", "-C", REPOSITORY, target, *given)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix."""
    if shutil.which("cargo-cinstall") is None:
        pytest.skip("cargo-c is not installed")
    folder = tmp_path_factory.mktemp("install") / "opt"
    make("install", PREFIX=folder)
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a stand-in server with a library `Movies`."""
    binary = os.environ.get("PLEXINDEX_STANDIN")
    if not binary:
        pytest.fail("set PLEXINDEX_STANDIN to the `standin` binary (cargo build -p plexindex-standin)")
    command = [binary, "--token", TOKEN, "--exit-with-stdin", "--movies", "20", "--plain"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.communicate()


@pytest.fixture(scope="session")
def movie(server: str) -> dict[str, str]:
    """A movie that the server lists: ratingKey, title and path."""
    with urllib.request.urlopen(f"{server}/_standin/paths?library=1") as answer:
        rows: list[dict[str, str]] = json.load(answer)
    return next(row for row in rows if row["path"])


def version() -> str:
    found = re.search(r'^version = "(.*)"', (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def shared(installed: Path) -> Path:
    return installed / f"lib/libplexindex.so.{version()}"


def symbols(file: Path, *arguments: str) -> list[list[str]]:
    """The rows of a symbol table: number, value, size, type, binding, visibility, section, name."""
    rows = [line.split() for line in run("readelf", "-W", *arguments, file).splitlines()]
    return [row for row in rows if len(row) >= 8 and row[0][:-1].isdigit()]


# What is installed.


def test_everything_is_in_its_place(installed: Path) -> None:
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if not path.is_dir()}
    assert files == {
        *(f"include/plexindex{ending}" for ending in (".h", "_more.h", ".hpp")),
        *(f"lib/libplexindex.so{ending}" for ending in ("", ".0", f".{version()}")),
        "lib/pkgconfig/plexindex.pc",
        *(f"share/cmake/plexindex/plexindex-config{ending}.cmake" for ending in ("", "-version")),
        *(f"share/licenses/plexindex/LICENSE-{name}" for name in ("APACHE", "MIT")),
    }


def test_the_shared_object_exports_the_functions_and_nothing_else(installed: Path) -> None:
    dynamic = run("readelf", "-dW", shared(installed))
    assert "Library soname: [libplexindex.so.0]" in dynamic
    rows = symbols(shared(installed), "--dyn-syms")
    record = (REPOSITORY / "docs/abi.txt").read_text(encoding="utf-8")
    exported = {row[7] for row in rows if row[6] != "UND" and row[4] == "GLOBAL"}
    assert exported == set(re.findall(r"^function (\w+):", record, re.MULTILINE))
    # What it needs is the system's, and nothing is left to be found in the host by chance.
    needed = set(re.findall(r"Shared library: \[([a-z_]+)", dynamic))
    assert needed <= {"libc", "libm", "libpthread", "libdl", "librt", "libutil", "ld-linux-x"}
    weak = {row[7] for row in rows if row[6] == "UND" and row[4] == "WEAK"}
    unversioned = {row[7] for row in rows if row[6] == "UND" and "@" not in row[7]}
    assert unversioned <= weak | {"__tls_get_addr"}


def test_hosts_can_share_with_what_is_installed(installed: Path) -> None:
    # What a library says that was built without the feature `shared`.
    assert b"needs a build with PostgreSQL" not in shared(installed).read_bytes()


def test_the_shared_object_is_hardened(installed: Path) -> None:
    dynamic = run("readelf", "-dW", shared(installed))
    assert "TEXTREL" not in dynamic
    assert "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic
    assert "BIND_NOW" in dynamic
    segments = run("readelf", "-lW", shared(installed))
    assert "GNU_RELRO" in segments
    (stack,) = [line for line in segments.splitlines() if "GNU_STACK" in line]
    assert " RW " in stack
    assert not [line for line in segments.splitlines() if "LOAD" in line and re.search(r" (RWE|WE) ", line)]


def test_what_is_installed_names_no_folder_of_the_builder(installed: Path) -> None:
    held = shared(installed).read_bytes()
    assert b"cargo/registry/src/" in held
    assert os.fsencode(REPOSITORY) not in held
    assert os.fsencode(Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")) not in held


def pkg_config(installed: Path, *arguments: str) -> list[str]:
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    variables = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    # It writes a space in a path as `\ `.
    printed = run("pkg-config", *arguments, env=variables)
    return [word.replace("\\ ", " ") for word in re.split(r"(?<!\\)\s+", printed.strip())]


def check_examples(programs: Path, folder: Path, server: str, movie: dict[str, str]) -> None:
    """All examples run and say what their comments promise."""
    variables = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    key = f"/library/metadata/{movie['ratingKey']}"
    said = run(programs / "match", server, TOKEN, folder / "store", "Movies", movie["path"], env=variables)
    assert said.startswith(f"OK\n  {key}  {movie['title']}")
    said = run(programs / "match", server, TOKEN, folder / "store", "Movies", "/nowhere/at all.mkv", env=variables)
    assert said.startswith("NOT_FOUND\n  ")
    asked = f"{movie['path']}\n/nowhere/at all.mkv\n"
    said = run(programs / "lookup", server, TOKEN, folder / "store", input=asked, env=variables)
    assert said == f"{key}\t{movie['path']}\nNOT_FOUND\t/nowhere/at all.mkv\n"
    feed: list[str | Path] = [programs / "feed", server, TOKEN, folder / "store", folder / "place", "0"]
    begun, later = (run(*feed, env=variables) for _ in range(2))
    # The second run goes on where the first one ended, and nothing changed.
    assert later == begun
    assert f"{movie['ratingKey']}\t{movie['path']}\n" in begun
    imported: list[str | Path] = [folder / "none", folder / "token", "/imported.mkv", movie["ratingKey"]]
    run(programs / "plugin", server, TOKEN, folder / "store", "Movies", *imported, env=variables)
    run(programs / "tables", folder / "store", "colour", "blue", env=variables)
    assert run(programs / "tables", folder / "store", "colour", env=variables) == "blue\n"
    missing = subprocess.run(
        [programs / "tables", folder / "store", "size"], capture_output=True, text=True, check=False
    )
    assert (missing.returncode, missing.stderr) == (1, "nothing is kept as size\n")


def test_examples_build_with_pkg_config(installed: Path, tmp_path: Path, server: str, movie: dict[str, str]) -> None:
    assert pkg_config(installed, "--modversion", "plexindex") == [version()]
    flags = [*pkg_config(installed, "--cflags", "--libs", "plexindex"), f"-Wl,-rpath,{installed}/lib"]
    for source in sorted(EXAMPLES.glob("*.c")):
        run(CC, *STRICT, source, "-o", tmp_path / source.stem, *flags)
    assert "[libplexindex.so.0]" in run("readelf", "-dW", tmp_path / "match")
    check_examples(tmp_path, tmp_path, server, movie)


def test_the_readme_s_commands_build_and_run_the_example(
    installed: Path, tmp_path: Path, server: str, movie: dict[str, str]
) -> None:
    pkg_config(installed, "--exists", "plexindex")
    readme = (REPOSITORY / "docs" / "c.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- tests/install -->\n```sh\n(.*?)```\n<!-- end -->", readme, re.DOTALL)
    assert shown is not None
    installing, *commands = shown[1].splitlines()
    assert installing == "make install PREFIX=$HOME/plexindex"
    # What that line made, without making it again.
    (tmp_path / "plexindex").symlink_to(installed)
    (tmp_path / "tests").symlink_to(REPOSITORY / "tests")
    asked = [server, TOKEN, str(tmp_path / "store"), movie["path"]]
    script = "\n".join(commands).replace("URL TOKEN CACHE FILE", shlex.join(asked))
    variables = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    said = run("sh", "-ec", script, cwd=tmp_path, env={**variables, "HOME": str(tmp_path)})
    assert said == f"OK: /library/metadata/{movie['ratingKey']}\n"


def test_the_header_for_cpp_is_installed(installed: Path, tmp_path: Path, server: str, movie: dict[str, str]) -> None:
    flags = [*pkg_config(installed, "--cflags", "--libs", "plexindex"), f"-Wl,-rpath,{installed}/lib"]
    if shutil.which(CXX) is None:
        pytest.skip(f"{CXX} is not installed")
    run(CXX, "-std=c++17", REPOSITORY / "examples/cpp/match.cpp", "-o", tmp_path / "match", *flags)
    said = run(tmp_path / "match", server, TOKEN, tmp_path / "store", "Movies", movie["path"])
    assert said == f"/library/metadata/{movie['ratingKey']}: {movie['title']}\n"


def test_examples_build_with_cmake(installed: Path, tmp_path: Path, server: str, movie: dict[str, str]) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    run("cmake", "-S", EXAMPLES, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    run("cmake", "--build", tmp_path / "build")
    check_examples(tmp_path / "build", tmp_path, server, movie)


def cmake_version() -> tuple[int, int]:
    found = re.search(r"(\d+)\.(\d+)", run("cmake", "--version"))
    assert found is not None
    return int(found[1]), int(found[2])


def test_cmake_refuses_what_does_not_fit(installed: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    cases = [("0.1", True), ("", True), (version(), True), ("0.999", False), ("1.0", False)]
    # Ranges; an older CMake reads them as their first version.
    ranges = [("0.0.1...0.0.9", False), ("0.0.1...0.999", True), (f"0.0.1...<{version()}", False)]
    ranges += [(f"0.0.1...{version()}", True), ("0.999...1.5", False)]
    cases += ranges if cmake_version() >= (3, 19) else []
    # There are no components.
    cases += [("0.1 COMPONENTS nosuch", False), ("0.1 OPTIONAL_COMPONENTS nosuch", True)]
    for number, (wanted, fits) in enumerate(cases):
        source = tmp_path / str(number)
        source.mkdir()
        lists = f"cmake_minimum_required(VERSION 3.13)\nproject(x C)\nfind_package(plexindex {wanted} REQUIRED)\n"
        (source / "CMakeLists.txt").write_text(lists)
        command = ["cmake", "-S", str(source), "-B", str(source / "build"), f"-DCMAKE_PREFIX_PATH={installed}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == fits, wanted + done.stdout + done.stderr
        assert ("nosuch" in done.stderr) == ("nosuch" in wanted and not fits), done.stderr


OWN = """
#include <plexindex_more.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* A host with an SQLite and a zlib of its own: these are called, and nothing of plexindex ends up in them. */
const char *sqlite3_libversion(void) { return "the host's SQLite"; }
const char *zlibVersion(void) { return "the host's zlib"; }
@TRAPS@
int main(int argc, char **argv)
{
    plexindex_options options = {.size = sizeof options, .cache_dir = {argv[1], strlen(argv[1])}};
    const plexindex_table_handle *table = NULL;
    plexindex_handle *index = NULL;
    int32_t status = argc == 2 ? plexindex_open(&options, &index, NULL) : PLEXINDEX_PANIC;
    if (status == PLEXINDEX_OK) status = plexindex_get_table(index, "t", 1, 0, &table, NULL);
    if (status == PLEXINDEX_OK)
        status = plexindex_table_put(table, "a", 1, "value", 5, PLEXINDEX_TTL_NEVER, 1000000, NULL);
    char memory[8] = "";
    plexindex_buffer value = {.data = memory, .capacity = sizeof memory};
    if (status == PLEXINDEX_OK) status = plexindex_table_get(table, "a", 1, &value, NULL);
    printf("%s, %s, %s, %s\\n", plexindex_get_status_name(status), memory, sqlite3_libversion(), zlibVersion());
    return plexindex_close(index, NULL);
}
"""


def test_a_host_keeps_its_own_sqlite_and_zlib(installed: Path, tmp_path: Path) -> None:
    # What of SQLite, zlib and Rust is in it: a host may have functions of these names.
    names = {"sqlite3_open_v2", "sqlite3_step", "sqlite3_prepare_v2", "sqlite3_initialize", "sqlite3_close"}
    names |= {"inflate", "inflateInit2_", "inflateEnd", "crc32", "adler32", "mz_inflate", "zng_inflate"}
    names |= {"rust_eh_personality", "rust_begin_unwind"}
    traps = "\n".join(f"void {name}(void) {{ abort(); }}" for name in sorted(names))
    source = tmp_path / "own.c"
    source.write_text(OWN.replace("@TRAPS@", traps), encoding="utf-8")
    flags = pkg_config(installed, "--cflags", "--libs", "plexindex")
    run(CC, "-std=c11", source, "-rdynamic", "-o", tmp_path / "own", *flags, f"-Wl,-rpath,{installed}/lib")
    said = run(tmp_path / "own", tmp_path / "store")
    assert said == "OK, value, the host's SQLite, the host's zlib\n"


def test_the_c_programs_run_with_the_installed_library(installed: Path) -> None:
    cargo = os.environ.get("CARGO", "cargo")
    variables = {**os.environ, "PLEXINDEX_TEST_LIBRARY": str(installed / "lib")}
    # Those in C++ are of the header: they do not care which library is behind it.
    programs = ["capi_c::", "--skip=readme", "--skip=every_program", "--skip=cpp_"]
    said = run(cargo, "test", "--workspace", "--test=c", "--", *programs, cwd=REPOSITORY, env=variables)
    assert " 0 failed" in said


def test_uninstall_leaves_what_is_not_its_own(installed: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    shutil.copytree(installed, prefix, symlinks=True)
    (prefix / "lib/other.so").write_text("another's")
    make("uninstall", PREFIX=prefix)
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == [prefix / "lib/other.so"]


def test_a_package_has_its_own_folder_for_libraries(tmp_path: Path) -> None:
    make("install", DESTDIR=tmp_path, PREFIX="/usr", LIBDIR="lib/x86_64-linux-gnu")
    config = (tmp_path / "usr/lib/x86_64-linux-gnu/pkgconfig/plexindex.pc").read_text(encoding="utf-8")
    assert str(tmp_path) not in config
    assert "prefix=/usr\n" in config
