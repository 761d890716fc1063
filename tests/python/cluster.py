"""A PostgreSQL cluster of a test's own: on a Unix socket in a temporary folder, as a user that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

OWNER_PASSWORD = "the owner's, never shown"
TOOL_PASSWORD = "the tool's, never shown"


def programs() -> Path | None:
    """The folder with initdb and pg_ctl: Debian keeps them out of the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Cluster:
    """A running server with the roles ``owner`` and ``tool``, which have passwords, and the database ``plexindex``."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        try:
            self._start()
        except BaseException:
            self.remove()
            raise

    def _start(self) -> None:
        password = self.folder / "password"
        password.write_text(OWNER_PASSWORD)
        password.chmod(0o644)
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-U", "owner", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync")
        password.unlink()
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self._run("pg_ctl", "-D", data, "-w", "-l", self.folder / "log", "-o", options, "start")
        self.sql("CREATE DATABASE plexindex", database="postgres")
        self.sql(f"CREATE ROLE tool LOGIN PASSWORD '{TOOL_PASSWORD.replace(chr(39), chr(39) * 2)}'")

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *map(str, arguments)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else None,
            text=True,
            check=False,
            **self._user,
        )
        assert done.returncode == 0, done.stderr

    def sql(self, statement: str, database: str = "plexindex") -> str:
        """What the owner's statement gives."""
        command = [str(self._binaries / "psql"), "-XAtq", "-h", str(self.folder), "-U", "owner", "-d", database]
        done = subprocess.run(
            [*command, "-c", statement],
            env={**os.environ, "PGPASSWORD": OWNER_PASSWORD},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def address(self, role: str = "owner") -> str:
        """The address of a shared log, for a machine that does much else: an answer may take a while."""
        return f"postgresql://{role}@/plexindex?host={self.folder}&connect_timeout=30"

    def remove(self) -> None:
        """Ends the server if it runs, and removes its folder."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)


def start_cluster() -> Cluster:
    """Starts a cluster. Where PostgreSQL is not installed, the test is skipped; in CI it fails."""
    binaries = programs()
    if binaries is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    return Cluster(binaries)
