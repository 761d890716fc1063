"""Runs demo/demo.py with the plexindex wheel installed in an environment of its own: `make demo`.

SERVER, TOKEN, LIBRARY and FILE of the environment choose a real server; without SERVER it is the stand-in.
With the argument `hosts` it runs demo/hosts.py, on the stand-in: `make demo-hosts`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from environment import ROOT, Environment, build_folder, check_python, target_folder


def main() -> int:
    """Makes what is missing, then hands over to the demo."""
    check_python()
    release = target_folder() / "release"
    environment = Environment(build_folder() / "demo")
    environment.make(None)
    environment.install(release / f"libplexindex.{'dylib' if sys.platform == 'darwin' else 'so'}")
    if sys.argv[1:] == ["hosts"]:
        arguments = [str(ROOT / "demo" / "hosts.py"), "--standin", str(release / "standin")]
    else:
        arguments = [str(ROOT / "demo" / "demo.py"), *server(release)]
    command = [str(environment.python), *arguments]
    variables = dict(os.environ)
    if token := variables.pop("TOKEN", ""):
        # All users can see the arguments of a process.
        variables["PLEX_TOKEN"] = token
    return subprocess.run(command, env=variables, check=False).returncode


def server(release: Path) -> list[str]:
    """The demo's arguments."""
    if not os.environ.get("SERVER"):
        return ["--standin", str(release / "standin")]
    arguments = ["--server", os.environ["SERVER"]]
    for name in ("LIBRARY", "FILE"):
        if value := os.environ.get(name):
            arguments += [f"--{name.lower()}", value]
    return arguments


if __name__ == "__main__":
    sys.exit(main())
