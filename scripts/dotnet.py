"""The test of bindings/csharp with .NET, which has another way to find libraries than Mono, for `make test-languages`.

The runtime is that of a package of PyPI, for x86-64 with glibc. There is no compiler in it: Mono's is used.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from environment import ROOT

PACKAGE = "dotnetcore2==3.1.23"
CONFIG = '{"runtimeOptions":{"framework":{"name":"Microsoft.NETCore.App","version":"3.1.0"}}}'


def is_there() -> bool:
    """Whether the package is for this machine."""
    return (sys.platform, platform.machine(), platform.libc_ver()[0]) == ("linux", "x86_64", "glibc")


def commands(made: Path, csharp: Path) -> list[list[str]]:
    """Runs the test, whose folder has `runtimes` already. The packages are made."""
    folder = made / "dotnet"
    home = folder / "dotnetcore2" / "bin"
    # Debian's Python has no pip, but an environment has.
    pip = f"{folder}/venv/bin/pip --disable-pip-version-check install --quiet --no-deps"
    fetch = ["sh", "-c", f"{sys.executable} -m venv {folder}/venv && {pip} --target {folder} {PACKAGE}"]
    references = (
        f"for file in {home}/shared/*/*/System*.dll; do case $file in *Native.*) ;; *) echo -r:$file ;; esac; done"
    )
    flags = "-nostdlib -noconfig -warnaserror -nowarn:1685,1701 -define:NETCOREAPP"
    program = f"{folder}/Test.dll test/Test.cs {' '.join(file.name for file in sorted(csharp.glob('*.cs')))}"
    return [
        ["true"] if home.is_dir() else fetch,
        ["chmod", "+x", str(home / "dotnet")],
        ["sh", "-c", f"cp -r {made}/csharp/runtimes {folder} && echo '{CONFIG}' > {folder}/Test.runtimeconfig.json"],
        ["sh", "-c", f"mcs {flags} $({references}) -out:{program}"],
        [str(home / "dotnet"), str(folder / "Test.dll"), str(ROOT / "docs" / "abi.txt")],
    ]
