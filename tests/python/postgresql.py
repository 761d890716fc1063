"""A temporary PostgreSQL server on a Unix socket, for a test and the demo of several hosts.

The server and its folder disappear when the program ends, even if it is killed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

# The watcher runs until its standard input ends, which also happens if the program is killed. On SIGQUIT, the server
# ends at once, without a checkpoint.
WATCHER = """
cat
pid=$(head -n 1 "$1/postgres/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null &&
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"""


class MissingError(Exception):
    """PostgreSQL is not installed. The message says what to install."""


class Cluster:
    """A running server with the database ``plexindex``. ``password``: that of the role ``postgres``."""

    def __init__(self, password: str) -> None:
        # Debian does not install these programs in PATH.
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
        found = debian[-1] if debian else shutil.which("initdb")
        if found is None:
            raise MissingError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self._programs = Path(found).resolve().parent
        self.folder = Path(tempfile.mkdtemp(prefix="plexindex-hosts-", dir="/tmp"))
        """The folder of the server. Programs can put files here, but the folder disappears with the server."""
        self.folder.chmod(0o755)
        self._own = self.folder / "postgres"
        self._own.mkdir()
        watcher = ["sh", "-c", WATCHER, "sh", str(self.folder)]
        # In its own session, the server does not receive Ctrl+C from the terminal.
        self._watcher = subprocess.Popen(
            watcher, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
        # PostgreSQL does not run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._own, nobody.pw_uid, nobody.pw_gid)
        self.address = f"postgresql://postgres@/plexindex?host={self._own}"
        """The address for the option ``shared``."""
        self._password = password
        secret = self.folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        try:
            rights = ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync"]
            self._run("initdb", "-U", "postgres", *rights)
            secret.unlink()
            self.start()
            self.sql("CREATE DATABASE plexindex", database="postgres")
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Starts the server, or starts it again."""
        options = f"-c listen_addresses= -c unix_socket_directories={self._own} -c fsync=off"
        self._run("pg_ctl", "-w", "-l", self._own / "log", "-o", options, "start")

    def stop(self) -> None:
        """Stops the server and ends its sessions at once."""
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def sql(self, statement: str, database: str = "plexindex") -> str:
        """Runs a statement and returns its output."""
        command = [str(self._programs / "psql"), "-XAtq", "-h", str(self._own), "-U", "postgres", "-d", database]
        environment = {**os.environ, "PGPASSWORD": self._password}
        done = subprocess.run([*command, "-c", statement], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def remove(self) -> None:
        """Stops the server and removes its folder."""
        self._watcher.communicate()

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), "-D", str(self._own / "data"), *map(str, arguments)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        subprocess.run(command, cwd="/", check=True, **quiet, **self._user)  # type: ignore[call-overload]
