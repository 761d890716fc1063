"""Makes what package managers of other languages take, in build/packages, and prints its folders or files.

make_packages.py npm|jar|csharp [PLATFORM=LIBRARY ...]

npm     the package `plexindex`, and for each platform one with its library: npm pack $(… make_packages.py npm)
jar     a JAR with the classes and the libraries; JNA names jna.jar
csharp  a folder for a project, with the sources and the libraries

Without a platform: this machine's, with the library that `make build` made, without its debug information. With
PUBLISHED=1 the npm package names those of all platforms as optional dependencies: not before they are published, as npm
would install what took a name.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import licences
import platforms
from archives import pack_zip
from environment import ROOT, build_folder, target_folder
from install import version
from make_bindings import DESCRIPTION
from platforms import Platform

BINDINGS = ROOT / "bindings"
# The project's address. Other files have it as text; tests/python/test_make_packages.py compares them.
ADDRESS = "https://github.com/plexindex/plexindex"
JNA = Path(os.environ.get("JNA") or "/usr/share/java/jna.jar")
LICENCES = ("LICENSE-MIT", "LICENSE-APACHE")


# By their names in npm.
PLATFORMS = {one.npm: one for one in platforms.PLATFORMS.values() if one.npm}


def here() -> str:
    """The platform of this machine."""
    cpu = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"{sys.platform}-{cpu}"
    if sys.platform == "linux":
        name += "-gnu" if platform.libc_ver()[0] == "glibc" else "-musl"
    if name not in PLATFORMS:
        sys.exit(f"no package is made for {name}: there are {', '.join(PLATFORMS)}")
    return name


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def put_licences(folder: Path, one: Platform | None = None) -> None:
    """The licence, and with a library the licences of what is in it."""
    for name in LICENCES:
        shutil.copyfile(ROOT / name, folder / name)
    if one:
        (folder / "THIRD-PARTY").write_text(licences.text(one.triple, ("plexindex",)), encoding="utf-8")


def write_json(file: Path, value: object) -> None:
    """A file of JSON as npm writes it."""
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def npm(libraries: dict[str, Path], folder: Path) -> list[Path]:
    """The folders that `npm pack` takes."""
    main = folder / "plexindex"
    shutil.copytree(BINDINGS / "node", main, ignore=shutil.ignore_patterns("node_modules", "test"))
    put_licences(main)
    shutil.copyfile(DESCRIPTION, main / "abi.json")
    manifest = json.loads((main / "package.json").read_text(encoding="utf-8"))
    manifest["version"] = version()
    del manifest["devDependencies"], manifest["scripts"]
    if os.environ.get("PUBLISHED"):
        manifest["optionalDependencies"] = {f"@plexindex/{name}": version() for name in manifest["platforms"]}
    write_json(main / "package.json", manifest)
    return [main, *(npm_platform(name, library, folder / name) for name, library in libraries.items())]


def npm_platform(name: str, library: Path, folder: Path) -> Path:
    """The package with the library of one platform. npm installs it nowhere else."""
    one = PLATFORMS[name]
    folder.mkdir()
    shutil.copyfile(library, folder / one.library)
    put_licences(folder, one)
    system, processor, *_ = name.split("-")
    libc = {"libc": ["musl" if one.is_musl else "glibc"]} if one.is_linux else {}
    write_json(
        folder / "package.json",
        {
            "name": f"@plexindex/{name}",
            "version": version(),
            "description": f"The library of plexindex for {one.description}",
            "license": "MIT OR Apache-2.0",
            # npm refuses a package with provenance that does not name the repository it was built in.
            "homepage": ADDRESS,
            "repository": {"type": "git", "url": f"git+{ADDRESS}.git"},
            "os": [system],
            "cpu": [processor],
            **libc,
            "main": one.library,
            "files": [one.library, *LICENCES, "THIRD-PARTY"],
        },
    )
    readme = f"# @plexindex/{name}\n\nThe shared library of `plexindex` for {one.description}. Install `plexindex`.\n"
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return folder


def jar(libraries: dict[str, Path], folder: Path) -> list[Path]:
    """A JAR with the classes, and the library of each platform, which the classes load from there."""
    content = folder / "content"
    sources = sorted(map(str, (BINDINGS / "java" / "plexindex").glob("*.java")))
    javac = ["javac", "-Xlint:all", "-Werror", "--release=17", "-cp", str(JNA), "-d", str(content), *sources]
    if subprocess.run(javac, check=False).returncode:
        sys.exit(f"javac failed: is {JNA} JNA's library?")
    about = content / "META-INF"
    about.mkdir()
    text = f"Manifest-Version: 1.0\r\nAutomatic-Module-Name: plexindex\r\nImplementation-Version: {version()}\r\n\r\n"
    (about / "MANIFEST.MF").write_bytes(text.encode())
    put_licences(about)
    # There Maven looks when it installs a file.
    coordinates = about / "maven" / "plexindex" / "plexindex"
    coordinates.mkdir(parents=True)
    shutil.copyfile(BINDINGS / "java" / "pom.xml", coordinates / "pom.xml")
    for name, library in libraries.items():
        if not PLATFORMS[name].jar:
            continue
        native = content / "native" / PLATFORMS[name].jar
        native.mkdir(parents=True)
        shutil.copyfile(library, native / PLATFORMS[name].library)
        put_licences(native, PLATFORMS[name])
    made = folder / f"plexindex-{version()}.jar"
    files = sorted(file for file in content.rglob("*") if file.is_file())
    # The manifest is the first entry, as programs that read a JAR as a stream expect.
    files.sort(key=lambda file: file.name != "MANIFEST.MF")
    pack_zip({str(file.relative_to(content)): file.read_bytes() for file in files}, made)
    shutil.rmtree(content)
    return [made]


def csharp(libraries: dict[str, Path], folder: Path) -> list[Path]:
    """A folder for a project: the sources, and the library of each platform where .NET has such things."""
    for pattern in ("*.cs", "*.csproj", "README.md"):
        for source in sorted((BINDINGS / "csharp").glob(pattern)):
            shutil.copyfile(source, folder / source.name)
    put_licences(folder)
    for name, library in libraries.items():
        if not PLATFORMS[name].rid:
            continue
        native = folder / "runtimes" / PLATFORMS[name].rid / "native"
        native.mkdir(parents=True)
        shutil.copyfile(library, native / PLATFORMS[name].library)
        put_licences(native, PLATFORMS[name])
    return [folder]


MAKERS = {"npm": npm, "jar": jar, "csharp": csharp}


def main() -> int:
    """Makes the named packages."""
    if not sys.argv[1:] or sys.argv[1] not in MAKERS:
        sys.exit(__doc__)
    libraries = dict(argument.partition("=")[::2] for argument in sys.argv[2:])
    built = target_folder() / "release" / PLATFORMS[here()].library if not libraries else None
    libraries = libraries or {here(): str(built)}
    for name, library in libraries.items():
        if name not in PLATFORMS:
            sys.exit(f"no platform is called {name}: there are {', '.join(PLATFORMS)}")
        if not Path(library).is_file():
            sys.exit(f"there is no {library}: run `make build` first, or name the library: {name}=FILE")
    folder = fresh(build_folder() / "packages" / sys.argv[1])
    if built:
        libraries[here()] = str(folder.parent / built.name)
        subprocess.run(["strip", "-S", "-o", libraries[here()], str(built)], check=True)
    given = {name: Path(library) for name, library in libraries.items()}
    made = MAKERS[sys.argv[1]](given, folder)
    print(*made, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
