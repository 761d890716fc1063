"""Installs plexindex from build/wheels into each Python and uses it: PYTHONS="python3.9 python3.13".

    try_wheels.py [PYTHON ...]      commands; default: this Python

pip chooses the wheel by its tags, so a tag that is wrong shows. Each Python gets an empty environment. One that cannot
make any, as one of another architecture in an emulator (docs/contributing.md, 'Wheels') or in a container, gets a
folder.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from environment import ROOT, build_folder, target_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "standin-token"  # noqa: S105 - of a server that holds nothing
MOVIES = 300


def copy_pip(folder: Path) -> None:
    """Copies pip of this Python. It can run in any other one, which may not see this one's folders."""
    import pip

    shutil.copytree(Path(pip.__file__).resolve().parent, folder / "pip")


def run(command: list[str], **variables: str) -> str:
    """The output of a command; ends this program if it fails."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    try:
        done = subprocess.run(
            command, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        sys.exit(f"{command[0]} does not run: {error}: name Pythons in PYTHONS that do")
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}: {shlex.join(command)}\n{done.stdout}")
    return done.stdout.strip()


def use(python: str, url: str, folder: Path, wheels: Path) -> str:
    """Installs and uses the wheel that pip takes from a folder. Returns the output."""
    command = shlex.split(python)
    # A source distribution may lie there too and must not be compiled.
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--only-binary=:all:", "plexindex"]
    install += [f"--find-links={wheels}"]
    program = [str(ROOT / "scripts" / "try_wheel.py"), url, TOKEN]
    if len(command) == 1:
        run([*command, "-m", "venv", str(folder / "venv")])
        command = [str(folder / "venv" / "bin" / "python")]
        run([*command, *install])
        return run([*command, *program])
    target = str(folder / "packages")
    copy_pip(folder / "tools")
    run([*command, *install, f"--target={target}"], PYTHONPATH=str(folder / "tools"))
    return run([*command, *program], PYTHONPATH=target)


@contextlib.contextmanager
def standin() -> Iterator[str]:
    """The URL of a stand-in server with films in its section 1."""
    binary = os.environ.get("PLEXINDEX_STANDIN") or target_folder() / "release" / "standin"
    command = [str(binary), "--token", TOKEN, "--movies", str(MOVIES), "--plain", "--exit-with-stdin"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[1]
    finally:
        server.communicate()


def main() -> int:
    """Uses the wheel in each named Python."""
    with standin() as url:
        for python in sys.argv[1:] or [sys.executable]:
            with tempfile.TemporaryDirectory() as folder:
                said = use(python, url, Path(folder), build_folder() / "wheels")
                print(f"{said}  ({python})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
