"""Build hook: compiles the shared library with cargo, and puts it beside the Python modules.

Environment variables:

- PLEXINDEX_CARGO_PROFILE: cargo's profile. The default is `quick`; wheels for other machines use `dist`.
- PLEXINDEX_PREBUILT: a compiled library to pack instead.
- PLEXINDEX_PLATFORM_TAG: the platforms that a compiled library supports. `make wheel` sets the tag, and checks it.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The files in `rust/` of a source distribution, from the repository's root, with the package's tests. cargo reads the
# manifests of all members of the workspace, and looks for their main source files, even if it does not build these
# members.
RUST_SOURCES = (
    "Cargo.toml", "Cargo.lock", ".cargo/config.toml", "build.rs", "src/**/*.rs", "src/**/*.sql",
    "crates/*/Cargo.toml", "crates/**/*.rs", "crates/**/*.sql", "include/*.h", "include/*.json",
    "bindings/c/Cargo.toml", "bindings/c/library/*", "bindings/c/src/**/*.rs", "bindings/c/src/*.h",
    "tests/Cargo.toml", "tests/*.rs", "tests/standin/Cargo.toml", "tests/standin/src/*.rs", "README.md",
    "scripts/make_man.py", "CHANGELOG.md", "pytest.ini", "tests/python/*.py",
)  # fmt: skip
# They test the repository: its documents, installs and packages.
OTHER_TESTS = (
    "test_abi.py", "test_database.py", "test_documents.py", "test_install.py", "test_stash2plex.py", "test_wheel.py",
)  # fmt: skip

COMPILES = """\
Compiling plexindex, which is written in Rust, for this machine. That takes two to three minutes on two cores.
"""
NO_CARGO = """\
plexindex is written in Rust, and no Rust toolchain was found: PATH has no `cargo`.
Install Rust 1.89 or newer (https://rustup.rs, or your system's package), and try again.
"""
NO_SOURCES = "the Rust sources of plexindex are missing: build from a checkout or from a source distribution"
ELSEWHERE = "Or set PLEXINDEX_PREBUILT to the path of a compiled libplexindex."


class PlexindexBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]
    """hatchling calls this hook for each wheel and each source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the library to a wheel, or the Rust sources to a source distribution."""
        here = Path(self.root)
        rust = here / "rust" if (here / "rust").is_dir() else here.parent.parent
        if self.target_name == "sdist":
            by_pattern = [sorted(rust.glob(pattern)) for pattern in RUST_SOURCES]
            if not all(by_pattern):
                self.stop(NO_SOURCES)
            found = [path for paths in by_pattern for path in paths if path.name not in OTHER_TESTS]
            # The licences here are links to those of the repository.
            included = {os.path.realpath(path): name for path, name in build_data["force_include"].items()}
            included.update({str(path): f"rust/{path.relative_to(rust)}" for path in found})
            build_data["force_include"] = included
            return
        library = self.prebuilt() or self.build(rust)
        # A system's library can have a version behind it.
        suffix = next((one for one in (".dll", ".dylib", ".so") if one in library.name), None)
        if suffix is None:
            self.stop(f"PLEXINDEX_PREBUILT={library}: this is no shared library")
        name = library.name if suffix == ".dll" else f"libplexindex{suffix}"
        build_data["pure_python"] = False
        tag, machine = os.environ.get("PLEXINDEX_PLATFORM_TAG"), os.environ.get("CARGO_BUILD_TARGET")
        if machine and not tag:
            self.stop(f"CARGO_BUILD_TARGET={machine}: also set PLEXINDEX_PLATFORM_TAG, such as manylinux_2_28_aarch64")
        build_data["tag"] = f"py3-none-{tag or platform_tag()}"
        # A copy of this folder alone has no scripts.
        if suffix != ".dll" and (rust / "scripts").is_dir():
            build_data["shared_data"].update(self.shared_data(rust))
        if version == "editable":
            # Replaces the old file, and does not overwrite it, because a running process may have mapped it.
            target = here / "src" / "plexindex" / name
            shutil.copyfile(library, target.with_suffix(".new"))
            os.replace(target.with_suffix(".new"), target)
        else:
            build_data["force_include"][str(library)] = f"plexindex/{name}"

    def shared_data(self, rust: Path) -> dict[str, str]:
        """Returns the manual page and the completions, with their places below a prefix."""
        sys.path[:0] = [str(Path(self.root) / "src"), str(rust / "scripts")]
        import make_man

        from plexindex._cli import help

        made = Path(tempfile.mkdtemp(prefix="plexindex-shared-"))
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        texts = {help.PLACES[shell]: f"{script}\n" for shell, script in help.SCRIPTS.items()}
        found = {}
        for place, text in {**texts, "man/man1/plexindex.1": make_man.page()}.items():
            file = made / Path(place).name
            file.write_text(text, encoding="utf-8")
            found[str(file)] = f"share/{place}"
        return found

    def prebuilt(self) -> Path | None:
        """Returns the file that PLEXINDEX_PREBUILT names."""
        named = os.environ.get("PLEXINDEX_PREBUILT")
        if named and not Path(named).is_file():
            self.stop(f"PLEXINDEX_PREBUILT={named}: there is no such file")
        return Path(named).resolve() if named else None

    def build(self, rust: Path) -> Path:
        """Compiles the library with cargo, and returns it."""
        if not (rust / "Cargo.toml").is_file():
            self.stop(NO_SOURCES)
        cargo = os.environ.get("CARGO") or shutil.which("cargo")
        cargo = cargo or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
        if cargo is None:
            self.stop(f"{NO_CARGO}\n{ELSEWHERE}")
        sys.stderr.write(COMPILES)  # as cargo's own lines, which pip shows with -v, or if the build fails
        command = [cargo, "build", "--lib", "--package=plexindex-capi"]
        # Without the default feature that generates the header, which the sources contain.
        command += ["--no-default-features", "--features=shared,tls"]
        command += [f"--profile={os.environ.get('PLEXINDEX_CARGO_PROFILE') or 'quick'}"]
        command += ["--message-format=json-render-diagnostics"]
        command += ["--locked"] if (rust / "Cargo.lock").is_file() else []
        try:
            done = subprocess.run(command, cwd=rust, stdout=subprocess.PIPE, check=False)  # noqa: S603
        except OSError as error:
            self.stop(f"{cargo} does not run: {error}\n{ELSEWHERE}")
        if done.returncode:
            self.stop(
                f"cargo could not build plexindex (exit code {done.returncode}); see the messages above\n{ELSEWHERE}"
            )
        for message in map(json.loads, done.stdout.splitlines()):
            for file in message.get("filenames", ()) if message.get("target", {}).get("name") == "plexindex" else ():
                if file.endswith((".so", ".dylib", ".dll")):
                    return Path(file)
        self.stop(f"cargo built no shared library\n{ELSEWHERE}")

    def stop(self, message: str) -> NoReturn:
        """Ends the build with this message, without a traceback."""
        self.app.abort(message)
        raise SystemExit(1)


def platform_tag() -> str:
    """Returns the platform's part of the wheel's name, for the architecture that cargo builds for by default."""
    tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if not tag.startswith("macosx") or not tag.endswith("universal2"):
        return tag
    # cargo builds for one architecture. pip accepts wheels for arm64 only from macOS 11 on.
    return "macosx_11_0_arm64" if platform.machine() == "arm64" else tag.replace("universal2", platform.machine())
