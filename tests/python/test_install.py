"""What `make install` installs is whole, keeps to itself, and goes again: `make test-install`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import REPOSITORY, TOKEN, Server, output, run
from test_wheel import version

pytestmark = pytest.mark.packaging

CC, CXX = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
EXAMPLES = REPOSITORY / "examples/c"
# Programs find the library by their own path to it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}


def make(target: str, **variables: str | Path) -> str:
    """`make` in the repository."""
    given = [f"{name}={value}" for name, value in variables.items()]
    return output("make", "--no-print-directory", "-C", REPOSITORY, target, *given, timeout=None)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix."""
    folder = tmp_path_factory.mktemp("install") / "opt"
    make("install", PREFIX=folder)
    return folder


def shared(installed: Path) -> Path:
    return installed / f"lib/libplexindex.so.{version()}"


def test_everything_is_in_its_place(installed: Path) -> None:
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if not path.is_dir()}
    assert files == {
        *(f"include/plexindex{ending}" for ending in (".h", ".hpp")),
        *(f"lib/libplexindex.so{ending}" for ending in ("", ".0", f".{version()}")),
        "lib/pkgconfig/plexindex.pc",
        *(f"share/cmake/plexindex/plexindex-config{ending}.cmake" for ending in ("", "-version")),
        *(f"share/licenses/plexindex/LICENSE-{name}" for name in ("APACHE", "MIT")),
    }


def test_the_shared_object_exports_the_functions_and_nothing_else(installed: Path) -> None:
    dynamic = output("readelf", "-dW", shared(installed))
    assert "Library soname: [libplexindex.so.0]" in dynamic
    # Number, value, size, type, binding, visibility, section, name.
    lines = map(str.split, output("readelf", "-W", "--dyn-syms", shared(installed)).splitlines())
    rows = [row for row in lines if len(row) >= 8 and row[0][:-1].isdigit()]
    record = json.loads((REPOSITORY / "include/plexindex.json").read_text(encoding="utf-8"))
    exported = {row[7] for row in rows if row[6] != "UND" and row[4] == "GLOBAL"}
    assert exported == set(record["functions"])
    # What it needs is the system's, and nothing is left to be found in the host by chance.
    needed = set(re.findall(r"Shared library: \[([a-z_-]+)", dynamic))
    assert needed <= {"libc", "libm", "libpthread", "libdl", "librt", "libutil", "ld-linux-x"}
    weak = {row[7] for row in rows if row[6] == "UND" and row[4] == "WEAK"}
    unversioned = {row[7] for row in rows if row[6] == "UND" and "@" not in row[7]}
    assert unversioned <= weak | {"__tls_get_addr"}


def test_the_shared_object_is_hardened(installed: Path) -> None:
    dynamic = output("readelf", "-dW", shared(installed))
    assert "TEXTREL" not in dynamic
    assert "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic
    assert "BIND_NOW" in dynamic
    segments = output("readelf", "-lW", shared(installed))
    assert "GNU_RELRO" in segments
    (stack,) = [line for line in segments.splitlines() if "GNU_STACK" in line]
    assert " RW " in stack
    assert not [line for line in segments.splitlines() if "LOAD" in line and re.search(r" (RWE|WE) ", line)]


def test_what_is_installed_has_postgresql_and_names_no_folder_of_the_builder(installed: Path) -> None:
    held = shared(installed).read_bytes()
    # What a library says that was built without the feature `shared`.
    assert b"needs a build with PostgreSQL" not in held
    assert b"cargo/registry/src/" in held
    assert os.fsencode(REPOSITORY) not in held
    assert os.fsencode(Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")) not in held


def pkg_config(installed: Path, *arguments: str) -> list[str]:
    variables = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    # It writes a space in a path as `\\ `.
    printed = output("pkg-config", *arguments, env=variables)
    return [word.replace("\\ ", " ") for word in re.split(r"(?<!\\)\s+", printed.strip())]


def flags(installed: Path) -> list[str]:
    # The examples read JSON with jansson.
    return [*pkg_config(installed, "--cflags", "--libs", "plexindex", "jansson"), f"-Wl,-rpath,{installed}/lib"]


def check_examples(programs: Path, folder: Path, server: Server) -> None:
    """Examples say what their comments promise. `bindings/c/tests` runs the others."""
    movie, asking = server.paths()[0], (server.url, TOKEN, folder / "store")
    key = f"/library/metadata/{movie['ratingKey']}"
    said = output(programs / "match", *asking, "Movies", movie["path"], env=ENVIRONMENT)
    assert said.startswith(f"OK\n  {key}  {movie['title']}")
    said = output(programs / "match", *asking, "Movies", "/nowhere/at all.mkv", env=ENVIRONMENT)
    assert said.startswith("NOT_FOUND\n  ")
    said = output(programs / "lookup", *asking, input=f"{movie['path']}\n/nowhere/at all.mkv\n", env=ENVIRONMENT)
    assert said == f"{key}\t{movie['path']}\nNOT_FOUND\t/nowhere/at all.mkv\n"
    output(programs / "tables", folder / "store", "colour", "blue", env=ENVIRONMENT)
    assert output(programs / "tables", folder / "store", "colour", env=ENVIRONMENT) == "blue\n"
    unset = run(programs / "tables", folder / "store", "size")
    assert unset.returncode == 1
    assert "size" in unset.stderr


def test_examples_build_with_pkg_config(installed: Path, tmp_path: Path, server: Server) -> None:
    assert pkg_config(installed, "--modversion", "plexindex") == [version()]
    for source in sorted(EXAMPLES.glob("*.c")):
        output(CC, *STRICT, source, "-o", tmp_path / source.stem, *flags(installed))
    assert "[libplexindex.so.0]" in output("readelf", "-dW", tmp_path / "match")
    check_examples(tmp_path, tmp_path, server)
    output(CXX, "-std=c++17", REPOSITORY / "examples/cpp/match.cpp", "-o", tmp_path / "cpp", *flags(installed))
    movie = server.paths()[0]
    said = output(tmp_path / "cpp", server.url, TOKEN, tmp_path / "store", "Movies", movie["path"], env=ENVIRONMENT)
    assert said == f"/library/metadata/{movie['ratingKey']}: {movie['title']}\n"


def test_the_readme_s_commands_build_and_run_the_example(installed: Path, tmp_path: Path, server: Server) -> None:
    readme = (REPOSITORY / "docs" / "c.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- test_install -->\n```sh\n(.*?)```\n<!-- end -->", readme, re.DOTALL)
    assert shown is not None
    installing, *commands = shown[1].splitlines()
    assert installing == "make install PREFIX=$HOME/plexindex"
    # What that line made, without making it again.
    (tmp_path / "plexindex").symlink_to(installed)
    (tmp_path / "tests").symlink_to(REPOSITORY / "tests")
    movie = server.paths()[0]
    asked = shlex.join([server.url, TOKEN, str(tmp_path / "store"), movie["path"]])
    script = "\n".join(commands).replace("URL TOKEN CACHE FILE", asked)
    said = output("sh", "-ec", script, cwd=tmp_path, env={**ENVIRONMENT, "HOME": str(tmp_path)})
    assert said == f"sure: /library/metadata/{movie['ratingKey']}\n"


def test_examples_build_with_cmake(installed: Path, tmp_path: Path, server: Server) -> None:
    output("cmake", "-S", EXAMPLES, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    output("cmake", "--build", tmp_path / "build")
    check_examples(tmp_path / "build", tmp_path, server)


def test_cmake_refuses_what_does_not_fit(installed: Path, tmp_path: Path) -> None:
    cases = [("0.1", True), ("", True), (version(), True), ("0.999", False), ("1.0", False)]
    # Ranges: from CMake 3.19 on. There are no components.
    cases += [("0.0.1...0.0.9", False), ("0.0.1...0.999", True), (f"0.0.1...<{version()}", False)]
    cases += [(f"0.0.1...{version()}", True), ("0.999...1.5", False)]
    cases += [("0.1 COMPONENTS nosuch", False), ("0.1 OPTIONAL_COMPONENTS nosuch", True)]
    for number, (wanted, fits) in enumerate(cases):
        source = tmp_path / str(number)
        source.mkdir()
        lists = f"cmake_minimum_required(VERSION 3.13)\nproject(x C)\nfind_package(plexindex {wanted} REQUIRED)\n"
        (source / "CMakeLists.txt").write_text(lists)
        done = run("cmake", "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={installed}")
        assert (done.returncode == 0) == fits, wanted + done.stdout + done.stderr
        assert ("nosuch" in done.stderr) == ("nosuch" in wanted and not fits), done.stderr


def test_a_host_keeps_its_own_sqlite_and_zlib(installed: Path, tmp_path: Path) -> None:
    # What of SQLite, zlib and Rust is in the library: a host may have functions of these names, and none is called.
    names = ["open_v2", "step", "prepare_v2", "initialize", "close", "libversion", "malloc", "config"]
    names = [*(f"sqlite3_{name}" for name in names), "rust_eh_personality", "rust_begin_unwind", "zlibVersion"]
    names += ["inflate", "inflateInit2_", "inflateEnd", "crc32", "adler32", "mz_inflate", "zng_inflate"]
    source, program = tmp_path / "own.c", tmp_path / "own"
    source.write_text("#include <stdlib.h>\n" + "\n".join(f"void {name}(void) {{ abort(); }}" for name in names))
    output(CC, "-std=c11", source, EXAMPLES / "tables.c", "-rdynamic", "-o", program, *flags(installed))
    output(program, tmp_path / "store", "colour", "blue", env=ENVIRONMENT)
    assert output(program, tmp_path / "store", "colour", env=ENVIRONMENT) == "blue\n"


def test_the_c_programs_run_with_the_installed_library(installed: Path) -> None:
    command = (os.environ.get("CARGO", "cargo"), "test", "--workspace", "--test=c", "--")
    variables = {**os.environ, "PLEXINDEX_TEST_LIBRARY": str(installed / "lib")}
    # Those in C++ are of the header: they do not care which library is behind it.
    programs = ("capi_c::", "--skip=readme", "--skip=every_program", "--skip=cpp_")
    assert " 0 failed" in output(*command, *programs, cwd=REPOSITORY, env=variables, timeout=None)


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
