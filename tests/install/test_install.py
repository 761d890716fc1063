"""What `make install` installs is whole, stands anywhere, keeps to itself, and goes again.

PLEXINDEX_STANDIN names the `standin` binary, PLEXINDEX_ARCHIVE an archive that cargo has built: `make test` sets them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))
import abi  # noqa: E402
import build_dist  # noqa: E402
import install  # noqa: E402

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
    """The prefix, elsewhere than where it was installed."""
    folder = tmp_path_factory.mktemp("install")
    make("install", PREFIX=folder / "opt/plexindex")
    moved = folder / "moved here"
    shutil.move(folder / "opt/plexindex", moved)
    return moved


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
        "include/plexindex.h",
        "include/plexindex_more.h",
        "include/plexindex.hpp",
        "lib/libplexindex.a",
        "lib/libplexindex.so",
        "lib/libplexindex.so.0",
        f"lib/libplexindex.so.{version()}",
        "lib/pkgconfig/plexindex.pc",
        "lib/pkgconfig/plexindex-static.pc",
        "lib/cmake/plexindex/plexindex-config.cmake",
        "lib/cmake/plexindex/plexindex-config-version.cmake",
        "share/doc/plexindex/abi.md",
        "share/doc/plexindex/answers.md",
        "share/doc/plexindex/storage.md",
        "share/doc/plexindex/install.md",
        "share/doc/plexindex/plex-database.md",
        "share/doc/plexindex/c.md",
        "share/doc/plexindex/cpp.md",
        "share/doc/plexindex/examples/CMakeLists.txt",
        "share/doc/plexindex/examples/README.md",
        "share/doc/plexindex/examples/batch.cpp",
        "share/doc/plexindex/examples/feed.c",
        "share/doc/plexindex/examples/feed.cpp",
        "share/doc/plexindex/examples/lookup.c",
        "share/doc/plexindex/examples/match.c",
        "share/doc/plexindex/examples/match.cpp",
        "share/doc/plexindex/examples/plugin.c",
        "share/doc/plexindex/examples/tables.c",
        "share/man/man1/plexindex.1",
        "share/bash-completion/completions/plexindex",
        "share/fish/vendor_completions.d/plexindex.fish",
        "share/zsh/site-functions/_plexindex",
        "share/licenses/plexindex/LICENSE-APACHE",
        "share/licenses/plexindex/LICENSE-MIT",
        "share/licenses/plexindex/THIRD-PARTY",
        "share/plexindex/installed",
    }
    for link in ("libplexindex.so", "libplexindex.so.0"):
        assert (installed / "lib" / link).resolve() == shared(installed).resolve()
    assert (installed / "lib/libplexindex.so").readlink() == Path("libplexindex.so.0")
    documents = installed / "share/doc/plexindex"
    for page in documents.rglob("*.md"):
        for link in re.findall(r"\]\(([\w./]+\.\w+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), f"{page.name} leads to {link}"
    # No file names the folder of the build, or where it was installed first.
    for path in (installed / "lib/pkgconfig", installed / "lib/cmake/plexindex"):
        for file in path.iterdir():
            text = file.read_text(encoding="utf-8")
            assert "/opt" not in text
            assert "@" not in text
            assert str(REPOSITORY) not in text


def test_the_licences_of_all_that_is_in_the_library_are_there(installed: Path) -> None:
    text = (installed / "share/licenses/plexindex/THIRD-PARTY").read_text(encoding="utf-8")
    for crate in ("rustls", "ring", "rusqlite", "serde_json"):
        assert re.search(rf"^{crate} \d+\.\d+\.\d+\S*: ", text, re.MULTILINE), crate
    assert "Permission is hereby granted" in text
    # The accelerator is Python's; the tests' and other systems' crates are in no library.
    for crate in ("pyo3", "loom", "tempfile", "windows-sys"):
        assert crate not in text, crate


def test_the_shared_object_has_a_soname_and_versions(installed: Path) -> None:
    dynamic = run("readelf", "-dW", shared(installed))
    assert "Library soname: [libplexindex.so.0]" in dynamic
    rows = symbols(shared(installed), "--dyn-syms")
    exported = {row[7] for row in rows if row[6] != "UND" and row[4] == "GLOBAL" and row[3] == "FUNC"}
    assert "plexindex_open@@PLEXINDEX_0" in exported
    _, functions = abi.recorded(abi.FILE.read_text(encoding="utf-8"))
    assert exported == {f"{name}@@{node}" for name, node in functions.items()}
    # What it needs is the system's, and nothing is left to be found in the host by chance.
    needed = set(re.findall(r"Shared library: \[([a-z_]+)", dynamic))
    assert needed <= {"libc", "libm", "libpthread", "libdl", "librt", "libutil", "ld"}
    weak = {row[7] for row in rows if row[6] == "UND" and row[4] == "WEAK"}
    unversioned = {row[7] for row in rows if row[6] == "UND" and "@" not in row[7]}
    assert unversioned <= weak | {"__tls_get_addr"}


def test_hosts_can_share_with_what_is_installed(installed: Path) -> None:
    # What a library says that was built without the feature `shared`.
    for file in (installed / f"lib/libplexindex.so.{version()}", installed / "lib/libplexindex.a"):
        assert b"needs a build with PostgreSQL" not in file.read_bytes()


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


@pytest.mark.skipif(bool(os.environ.get("PLEXINDEX_ARCHIVE")), reason="only dist leaves folders out")
def test_what_is_installed_names_no_folder_of_the_builder(installed: Path) -> None:
    for file in (shared(installed), installed / "lib/libplexindex.a"):
        held = file.read_bytes()
        assert b"cargo/registry/src/" in held
        assert [folder for folder in build_dist.folders() if os.fsencode(folder) in held] == [], file.name


@pytest.mark.parametrize("variable", ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"])
def test_flags_of_a_packager_hold_and_bring_no_folder_of_the_builder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    # A crate of the library's name and profile, and one that lies where cargo keeps those of the registry.
    home, crate = tmp_path / "Ann's home" / ".cargo", tmp_path / "packages" / "crate"
    head = '[package]\nname = "{}"\nversion = "0.0.0"\nedition = "2024"\n'
    for folder, name, text in (
        (home / "registry/src/far", "far", 'pub fn at(n: u8) -> u8 { b"abc"[n as usize] }'),
        (crate, "plexindex-capi", '#[cfg(packager)] #[unsafe(no_mangle)] extern "C" fn at(n: u8) -> u8 { far::at(n) }'),
    ):
        (folder / "src").mkdir(parents=True)
        (folder / "src/lib.rs").write_text(text)
        (folder / "Cargo.toml").write_text(head.format(name))
    with (crate / "Cargo.toml").open("a") as more:
        more.write(f'[lib]\nname = "plexindex"\n[workspace]\n[dependencies]\nfar.path = "{home}/registry/src/far"\n')
        more.write('[profile.dist]\ninherits = "release"\nlto = "fat"\n')
    flags = ["--cfg=packager", "-Cdebuginfo=2", "-Cstrip=none", "--remap-path-prefix=/nowhere=/else"]
    monkeypatch.setenv("CARGO_HOME", str(home))
    monkeypatch.setenv("RUSTUP_HOME", os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup"))
    monkeypatch.setenv("CARGO_TARGET_DIR", str(crate / "target"))
    monkeypatch.setenv("RUSTFLAGS", " ".join(flags) if variable == "RUSTFLAGS" else "--cfg=unused")
    if variable == "RUSTFLAGS":
        monkeypatch.delenv("CARGO_ENCODED_RUSTFLAGS", raising=False)
    else:
        monkeypatch.setenv("CARGO_ENCODED_RUSTFLAGS", "\x1f".join(flags))
    for kind, file in build_dist.build(root=crate).items():
        held = file.read_bytes()
        assert b"cargo/registry/src/far/src/lib.rs" in held, kind
        assert os.fsencode(tmp_path) not in held, kind
        assert os.fsencode(Path.home()) not in held, kind


def test_the_archive_keeps_to_itself(installed: Path) -> None:
    archive = installed / "lib/libplexindex.a"
    defined = {row[7] for row in symbols(archive, "-s") if row[4] != "LOCAL" and row[6] != "UND"}
    _, functions = abi.recorded(abi.FILE.read_text(encoding="utf-8"))
    assert defined == set(functions)
    sections = run("readelf", "-SW", archive)
    assert ".llvmbc" not in sections
    assert ".debug_info" not in sections


# What is built with it, elsewhere.


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


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_examples_build_with_pkg_config(
    installed: Path, tmp_path: Path, server: str, movie: dict[str, str], kind: str
) -> None:
    assert pkg_config(installed, "--modversion", "plexindex") == [version()]
    package = ["plexindex"] if kind == "shared" else ["plexindex-static"]
    flags = pkg_config(installed, "--cflags", "--libs", *package)
    flags += [f"-Wl,-rpath,{installed}/lib"] if kind == "shared" else []
    for source in sorted(EXAMPLES.glob("*.c")):
        run(CC, *STRICT, source, "-o", tmp_path / source.stem, *flags)
    needed = run("readelf", "-dW", tmp_path / "match")
    assert ("[libplexindex.so.0]" in needed) == (kind == "shared")
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
    script = "\n".join(commands).replace("URL TOKEN FOLDER FILE", shlex.join(asked))
    variables = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    said = run("sh", "-ec", script, cwd=tmp_path, env={**variables, "HOME": str(tmp_path)})
    assert said == f"OK: /library/metadata/{movie['ratingKey']}\n"


def test_the_header_for_cpp_is_installed(installed: Path, tmp_path: Path, server: str, movie: dict[str, str]) -> None:
    flags = pkg_config(installed, "--cflags", "--libs", "plexindex-static")
    source = installed / "share/doc/plexindex/examples/match.cpp"
    if shutil.which(CXX) is None:
        pytest.skip(f"{CXX} is not installed")
    run(CXX, "-std=c++17", source, "-o", tmp_path / "match", *flags)
    said = run(tmp_path / "match", server, TOKEN, tmp_path / "store", "Movies", movie["path"])
    assert said == f"/library/metadata/{movie['ratingKey']}: {movie['title']}\n"


def test_the_archive_links_without_any_shared_library(installed: Path, tmp_path: Path) -> None:
    flags = pkg_config(installed, "--cflags", "--libs", "plexindex-static")
    command = [CC, "-static", str(EXAMPLES / "tables.c"), "-o", str(tmp_path / "tables"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # The C library warns of functions that load others at run time.
    assert done.returncode == 0, done.stderr
    run(tmp_path / "tables", tmp_path / "store", "colour", "blue")
    assert run(tmp_path / "tables", tmp_path / "store", "colour") == "blue\n"


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_examples_build_with_cmake(
    installed: Path, tmp_path: Path, server: str, movie: dict[str, str], kind: str
) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    build = tmp_path / "build"
    static = "ON" if kind == "static" else "OFF"
    examples = installed / "share/doc/plexindex/examples"
    run("cmake", "-S", examples, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}", f"-DPLEXINDEX_STATIC={static}")
    run("cmake", "--build", build)
    needed = run("readelf", "-dW", build / "match")
    assert ("[libplexindex.so.0]" in needed) == (kind == "shared")
    check_examples(build, tmp_path, server, movie)


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


# Hosts that have the same things inside.

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


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_a_host_keeps_its_own_sqlite_and_zlib(installed: Path, tmp_path: Path, kind: str) -> None:
    # Whatever of SQLite, zlib, BLAKE3 or ring is in it: a host may have functions of these names.
    archive = installed / "lib/libplexindex.a"
    inside = {row[7] for row in symbols(archive, "-s") if row[3] == "FUNC" and row[6] != "UND"}
    names = {name for name in inside if re.fullmatch(r"sqlite3_\w+|blake3_\w+|ring_core_\w+", name)}
    assert {"sqlite3_open_v2", "sqlite3_step"} <= names
    names |= {"inflate", "inflateInit2_", "inflateEnd", "crc32", "adler32", "mz_inflate", "zng_inflate"}
    names |= {"rust_eh_personality", "rust_begin_unwind"}
    names -= {"sqlite3_libversion", "zlibVersion"}
    traps = "\n".join(f"void {name}(void) {{ abort(); }}" for name in sorted(names))
    source = tmp_path / "own.c"
    source.write_text(OWN.replace("@TRAPS@", traps), encoding="utf-8")
    package = "plexindex" if kind == "shared" else "plexindex-static"
    flags = pkg_config(installed, "--cflags", "--libs", package)
    run(CC, "-std=c11", source, "-rdynamic", "-o", tmp_path / "own", *flags, f"-Wl,-rpath,{installed}/lib")
    said = run(tmp_path / "own", tmp_path / "store")
    assert said == "OK, value, the host's SQLite, the host's zlib\n"


RUST = """
#[unsafe(no_mangle)]
pub extern "C" fn other_caught() -> i32 {
    std::panic::set_hook(Box::new(|_| ()));
    std::panic::catch_unwind(|| panic!("caught")).is_err() as i32
}
"""
BOTH = """
#include <plexindex.h>
#include <stdio.h>
int other_caught(void);
int main(void) { printf("%s %d\\n", plexindex_get_version(), other_caught()); return 0; }
"""


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_another_rust_library_links_beside_it(installed: Path, tmp_path: Path, first: str) -> None:
    (tmp_path / "other.rs").write_text(RUST)
    (tmp_path / "both.c").write_text(BOTH)
    other = tmp_path / "libother.a"
    run("rustc", "--edition=2024", "--crate-type=staticlib", tmp_path / "other.rs", "-o", other)
    flags = pkg_config(installed, "--cflags", "--libs", "plexindex-static")
    files = [*flags, str(other)] if first == "ours" else [str(other), *flags]
    run(CC, tmp_path / "both.c", "-o", tmp_path / "both", *files, "-lm")
    assert run(tmp_path / "both") == f"{version()} 1\n"


def test_the_c_programs_run_with_the_installed_library(installed: Path) -> None:
    cargo = os.environ.get("CARGO", "cargo")
    variables = {**os.environ, "PLEXINDEX_TEST_LIBRARY": str(installed / "lib")}
    # Those in C++ are of the header: they do not care which library is behind it.
    programs = ["capi_c::", "--skip=readme", "--skip=every_program", "--skip=cpp_"]
    said = run(cargo, "test", "--workspace", "--test=c", "--", *programs, cwd=REPOSITORY, env=variables)
    assert " 0 failed" in said


# It goes again.


def test_uninstall_leaves_nothing(installed: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    shutil.copytree(installed, prefix, symlinks=True)
    make("uninstall", PREFIX=prefix)
    assert list(prefix.iterdir()) == []


def test_uninstall_leaves_what_is_not_its_own(installed: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    shutil.copytree(installed, prefix, symlinks=True)
    (prefix / "lib/other.so").write_text("another's")
    said = make("uninstall", PREFIX=prefix)
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == [prefix / "lib/other.so"]
    assert f"{prefix}/lib stays: it is not empty" in said


def refused(target: str, **variables: str) -> str:
    given = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "--no-print-directory", "-C", str(REPOSITORY), target, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    assert "PREFIX=usr: give a path that begins with /" in refused("install", PREFIX="usr")
    for strange in ("/lib", "../lib", "my lib"):
        said = refused("install", PREFIX=str(tmp_path), LIBDIR=strange)
        assert f"LIBDIR={strange}: give a folder below PREFIX" in said
    assert "plexindex is not installed there" in refused("uninstall", PREFIX=str(tmp_path))
    record = tmp_path / "share/plexindex/installed"
    record.parent.mkdir(parents=True)
    record.write_text("lib/../../etc/passwd\n")
    assert "which is not below" in refused("uninstall", PREFIX=str(tmp_path))


def test_a_place_that_takes_nothing_is_refused_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With an archive that is not there, a build would end otherwise.
    monkeypatch.setenv("PLEXINDEX_ARCHIVE", str(tmp_path / "none.a"))
    file = tmp_path / "file"
    file.touch()
    assert refused("install", PREFIX=str(file)).startswith(f"{file} is no folder: give another PREFIX or DESTDIR\n")
    # Root may write everywhere, so what the system answers is given here.
    monkeypatch.setenv("PREFIX", str(tmp_path / "deep/prefix"))
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK | os.X_OK))
    with pytest.raises(SystemExit, match=f"^you may not write to {tmp_path}: give a PREFIX .* DESTDIR="):
        install.install()
    # What the system refuses later is a line, and no traceback.
    (tmp_path / "share/plexindex/installed").mkdir(parents=True)
    said = refused("uninstall", PREFIX=str(tmp_path))
    assert said.startswith(f"{tmp_path}/share/plexindex/installed: Is a directory: ")


def test_the_record_can_be_read_by_all(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make("install", PREFIX=tmp_path)
    finally:
        os.umask(before)
    found = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {0o644, 0o755}


def test_a_package_gets_no_record_and_no_path_that_compilers_know(tmp_path: Path) -> None:
    make("install", DESTDIR=tmp_path, PREFIX="/usr", LIBDIR="lib/x86_64-linux-gnu")
    assert not (tmp_path / "usr/share/plexindex").exists()
    # A path with `..` would not be recognised as one of the compiler's own.
    for name in ("plexindex", "plexindex-static"):
        config = (tmp_path / f"usr/lib/x86_64-linux-gnu/pkgconfig/{name}.pc").read_text(encoding="utf-8")
        assert "prefix=/usr\nlibdir=${prefix}/lib/x86_64-linux-gnu\n" in config


def test_an_install_replaces_an_older_one(installed: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    old = prefix / "lib/libplexindex.so.0.0.9"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    record = prefix / "share/plexindex/installed"
    record.parent.mkdir(parents=True)
    record.write_text("lib/libplexindex.so.0.0.9\nlib/\n")
    # To another folder for libraries, too.
    make("install", PREFIX=prefix, LIBDIR="lib/deep")
    assert not old.exists()
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*")}
    usual = {str(path.relative_to(installed)) for path in installed.rglob("*")}
    assert files == {re.sub("^lib/", "lib/deep/", path) for path in usual} | {"lib/deep"}
    config = (prefix / "lib/deep/pkgconfig/plexindex.pc").read_text(encoding="utf-8")
    assert "prefix=${pcfiledir}/../../..\nlibdir=${prefix}/lib/deep\n" in config
    config = (prefix / "lib/deep/cmake/plexindex/plexindex-config.cmake").read_text(encoding="utf-8")
    assert '"${CMAKE_CURRENT_LIST_DIR}/../../../.."' in config
    assert '"${_plexindex_prefix}/lib/deep/libplexindex.a"' in config
    make("uninstall", PREFIX=prefix)
    # `share` was there before, and stays.
    assert {str(path.relative_to(prefix)) for path in prefix.rglob("*")} == {"share", "share/plexindex"}


def test_cargo_c_builds_it(tmp_path: Path) -> None:
    if shutil.which("cargo-cinstall") is None:
        pytest.skip("cargo-c is not installed")
    options = [f"--destdir={tmp_path}", "--prefix=/usr", "--libdir=/usr/lib", "--profile=dist", "--package=plexindex"]
    run(os.environ.get("CARGO", "cargo"), "cinstall", *options, cwd=REPOSITORY)
    headers = [f"include/{header.name}" for header in abi.HEADERS]
    for file in (*headers, "lib/libplexindex.so.0", "lib/libplexindex.a", "lib/pkgconfig/plexindex.pc"):
        assert (tmp_path / "usr" / file).exists(), file
    assert "[libplexindex.so.0]" in run("readelf", "-dW", tmp_path / "usr/lib/libplexindex.so.0")
