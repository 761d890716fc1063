"""Build hook: makes the shared library and the accelerator with cargo, and puts them beside the Python modules.

PLEXINDEX_PREBUILT names a library to pack instead, and PLEXINDEX_PREBUILT_ACCELERATOR an accelerator to go with it:
without one the package goes through ctypes. PLEXINDEX_CARGO_PROFILE names another profile than `dist`.
PLEXINDEX_PLATFORM_TAG names the platforms that a prebuilt library is for, and PLEXINDEX_LICENCES the file with the
licences of what is in it: `make wheel` sets both, and checks the wheel.
"""

from __future__ import annotations

import atexit
import contextlib
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

# What a source distribution takes along, from the repository's root to `rust/`: what cargo needs to build the library.
# The stand-in server is a member of the workspace, and some tests are named in the manifest: cargo wants to
# see them even where it builds none of them.
RUST_SOURCES = (
    "Cargo.toml", "Cargo.lock", ".cargo/config.toml", "build.rs", "src", "crates",
    "include", "bindings/c/Cargo.toml", "bindings/c/src", "bindings/c/library",
    "bindings/python/accelerator/Cargo.toml", "bindings/python/accelerator/build.rs",
    "bindings/python/accelerator/src",
    "tests/Cargo.toml", "tests/*.rs", "tests/standin/Cargo.toml", "tests/standin/src", "README.md",
    "LICENSE-*", "docs/plexindex.1",
)  # fmt: skip

COMPILES = """\
plexindex is written in Rust and is compiled now, for this machine. That takes two to four minutes on two cores.
"""
NO_CARGO = """\
plexindex is written in Rust, and no Rust toolchain was found: there is no `cargo` on the PATH.
Install one (https://rustup.rs, or your system's package for cargo 1.89 or newer) and try again.
"""
ELSEWHERE = "PLEXINDEX_PREBUILT can be set to the path of a libplexindex that was built elsewhere."


class PlexindexBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]
    """Called by hatchling for each wheel and each source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the library, or the Rust sources, to what is built."""
        here = Path(self.root)
        rust = here / "rust" if (here / "rust").is_dir() else here.parent.parent
        if self.target_name == "sdist":
            found = [path for pattern in RUST_SOURCES for path in sorted(rust.glob(pattern))]
            build_data["force_include"].update({str(path): f"rust/{path.relative_to(rust)}" for path in found})
            return
        library = self.prebuilt("PLEXINDEX_PREBUILT")
        accelerator = self.prebuilt("PLEXINDEX_PREBUILT_ACCELERATOR") if library else None
        if library is None:
            library, accelerator = self.build(rust)
        packed = {library.name if library.suffix == ".dll" else f"libplexindex{library.suffix}": library}
        if accelerator:
            packed["_fast.pyd" if accelerator.suffix == ".dll" else "_fast.abi3.so"] = accelerator
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ.get('PLEXINDEX_PLATFORM_TAG') or platform_tag()}"
        # pyproject.toml cannot name a file outside of this folder.
        folder = f"{self.build_config.builder.project_id}.dist-info/licenses"
        licensed = {str(licence): f"{folder}/{licence.name}" for licence in rust.glob("LICENSE-*")}
        build_data["force_include"].update(licensed)
        if licences := os.environ.get("PLEXINDEX_LICENCES"):
            build_data["force_include"][licences] = f"{folder}/THIRD-PARTY"
        if library.suffix != ".dll":
            build_data["shared_data"].update(self.shared_data(rust))
        for name, file in packed.items():
            if version == "editable":
                # A running process may have the old one mapped: replaced, not overwritten.
                target = here / "src" / "plexindex" / name
                shutil.copyfile(file, target.with_suffix(".new"))
                os.replace(target.with_suffix(".new"), target)
            else:
                build_data["force_include"][str(file)] = f"plexindex/{name}"

    def shared_data(self, rust: Path) -> dict[str, str]:
        """The manual page and the completions, with their places below a prefix."""
        made = tempfile.mkdtemp(prefix="plexindex-completion-")
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        # They are written as a user installs them, below another folder of shared data. The path has what pip has
        # installed for this build only.
        path = os.pathsep.join([str(Path(self.root) / "src"), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path, "XDG_DATA_HOME": made}
        for shell in ("bash", "zsh", "fish"):
            command = [sys.executable, "-m", "plexindex", "completion", "--install", shell]
            subprocess.run(command, env=environment, capture_output=True, check=True)  # noqa: S603 - our own
        files = {str(file): f"share/{file.relative_to(made)}" for file in Path(made).rglob("*") if file.is_file()}
        return {str(rust / "docs" / "plexindex.1"): "share/man/man1/plexindex.1", **files}

    def prebuilt(self, variable: str) -> Path | None:
        """The file that a variable names."""
        named = os.environ.get(variable)
        if named and not Path(named).is_file():
            self.stop(f"{variable}={named}: there is no such file")
        return Path(named).resolve() if named else None

    def build(self, rust: Path) -> tuple[Path, Path]:
        """The library and the accelerator, built by cargo, wherever its target folder is."""
        if not (rust / "Cargo.toml").is_file():
            self.stop("the Rust sources of plexindex are missing: build from a checkout or from its sdist")
        cargo = os.environ.get("CARGO") or shutil.which("cargo")
        cargo = cargo or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
        if cargo is None:
            self.stop(f"{NO_CARGO}\n{ELSEWHERE}")
        say(COMPILES)
        return self.compile(cargo, rust, "capi", "plexindex"), self.compile(
            cargo, rust, "accelerator", "plexindex_accelerator"
        )

    def compile(self, cargo: str, rust: Path, package: str, crate: str) -> Path:
        """A shared library of a package. Of an `rlib` too, cargo would leave out link-time optimisation."""
        command = [cargo, "rustc", f"--package=plexindex-{package}", "--lib", "--crate-type=cdylib"]
        if package == "capi":
            command += ["--no-default-features", "--features=shared,tls"]  # all but the header, which is made already
        command += [f"--profile={os.environ.get('PLEXINDEX_CARGO_PROFILE') or 'dist'}"]
        command += [
            "--message-format=json-render-diagnostics",
            *(["--locked"] if (rust / "Cargo.lock").is_file() else []),
        ]
        try:
            done = subprocess.run(command, cwd=rust, stdout=subprocess.PIPE, check=False)  # noqa: S603
        except OSError as error:
            self.stop(f"{cargo} does not run: {error}\n{ELSEWHERE}")
        if done.returncode:
            self.stop(
                f"cargo could not build plexindex (exit code {done.returncode}); its messages are above\n{ELSEWHERE}"
            )
        for message in map(json.loads, done.stdout.splitlines()):
            if message["reason"] == "compiler-artifact" and message["target"]["name"] == crate:
                for file in message["filenames"]:
                    if file.endswith((".so", ".dylib", ".dll")):
                        return Path(file)
        self.stop(f"cargo built no shared library of plexindex-{package}\n{ELSEWHERE}")

    def stop(self, message: str) -> NoReturn:
        """Ends the build with this message and no traceback."""
        self.app.abort(message)
        raise SystemExit(1)


def say(text: str) -> None:
    """Tells the one who waits, also from below pip: that hides what a build prints, unless it fails or is told `-v`."""
    sys.stderr.write(text)
    sys.stderr.flush()
    if sys.stderr.isatty():
        return
    with contextlib.suppress(OSError), open("/dev/tty", "w") as terminal:
        terminal.write(f"\n{text}")


def platform_tag() -> str:
    """The platform's part of the wheel's name, for the one architecture that cargo builds for."""
    tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return tag.replace("universal2", platform.machine())
