"""The packages of the bindings, and what their READMEs show: for `make check-deep`, after `make test-languages`.

Packages are made and installed as users do it; then their tests and the programs of the READMEs run with these. A
language whose tools are missing is skipped by name.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import languages
from environment import ROOT, build_folder
from install import version
from languages import FOLDER, JNA, TOKEN
from make_packages import BINDINGS, here
from runner import shared_library

PACKAGES = build_folder() / "packages"
PART = re.compile(r"<!-- make test-languages -->\n(.*?)<!-- end -->", re.DOTALL)
BLOCK = re.compile(r"```(\w+)\n(.*?)```\n", re.DOTALL)
# The file that a README's program is in.
FILES = {"go": "main.go", "ruby": "hello.rb", "lua": "hello.lua"}
# What a user has: his shell, tools, and nothing of ours. `make install` is tested elsewhere, and takes minutes.
KEPT = ("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "GOCACHE", "GOFLAGS", "GOPROXY")
SCREEN = 60
NPM = "npm install --no-audit --no-fund --silent --prefer-offline"
TSC = "node_modules/.bin/tsc --noEmit --strict --skipDefaultLibCheck --module nodenext test/types.ts readme.mts"


class WrongError(Exception):
    """What a README or a package lacks."""


def run(command: str, folder: Path, **variables: str) -> str:
    """The output of a command of the shell, which must succeed."""
    done = subprocess.run(
        ["sh", "-euc", command],
        cwd=folder,
        env={**os.environ, "PLEXINDEX_LIBRARY": "", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WrongError(f"{command}\n{done.stdout}")
    return done.stdout


def movie() -> list[str]:
    """The key, title and path of a film of the server."""
    return Path(os.environ["PLEXINDEX_TEST_FACTS"]).read_text(encoding="utf-8").splitlines()[0].split("\t")[1:]


def filled_in(program: str, cache: Path) -> str:
    """A program of a README, with the server of the tests and one of its files."""
    for placeholder, value in {
        "http://127.0.0.1:32400": os.environ["PLEXINDEX_TEST_URL"],
        "YOUR-TOKEN": TOKEN,
        "/media/movies/Big Buck Bunny (2008).mkv": movie()[2],
        '"cache"': json.dumps(str(cache)),
    }.items():
        if placeholder not in program:
            raise WrongError(f"the program does not name {placeholder}")
        program = program.replace(placeholder, value)
    return program


def packages(kind: str) -> Path:
    """Makes packages with a library that is as small as one that is shipped."""
    small = FOLDER / "small" / "libplexindex.so"
    small.parent.mkdir(parents=True, exist_ok=True)
    run(f"strip --strip-debug -o {small} {shared_library()}", ROOT)
    run(f"{sys.executable} scripts/make_packages.py {kind} {here()}={small}", ROOT)
    return PACKAGES / kind


def node(folder: Path) -> None:
    """A project as a user of the package has one."""
    made, binding = packages("npm"), BINDINGS / "node"
    shutil.copytree(binding / "test", folder / "test")
    manifest = json.loads((binding / "package.json").read_text(encoding="utf-8"))
    project = {"name": "project", "private": True, "devDependencies": manifest["devDependencies"]}
    (folder / "package.json").write_text(json.dumps(project), encoding="utf-8")
    code = "".join(re.findall(r"```js\n(.*?)```", (binding / "README.md").read_text(encoding="utf-8"), re.DOTALL))
    (folder / "readme.mts").write_text(code, encoding="utf-8")
    check = f"if (match.item?.key !== {json.dumps(movie()[0])} || key !== match.item.key) throw new Error(key);\n"
    (folder / "main.mjs").write_text(filled_in(code, folder / "cache") + check, encoding="utf-8")
    run(f"{NPM} $(npm pack --silent {made}/plexindex {made}/{here()}) && {NPM}", folder)
    # With the library of types that goes with the target, and with the newest.
    run(f"{TSC} --target es2022 && {TSC} --target esnext --lib esnext --exactOptionalPropertyTypes", folder)
    run("node --expose-gc --test test/*.test.js test/packages/*.test.js && node main.mjs", folder)


def prints(command: str, page: str, name: str, folder: Path) -> None:
    """The program of a page prints the title and the key."""
    program = dict(BLOCK.findall("".join(PART.findall((BINDINGS / page).read_text(encoding="utf-8")))))[name]
    (folder / f"main.{name}").write_text(filled_in(program, folder / "cache"), encoding="utf-8")
    if (said := run(command, folder)) != f"{movie()[1]}\n{movie()[0]}\n":
        raise WrongError(f"the program of {page} prints {said}")


def java(folder: Path) -> None:
    """The JAR."""
    made = packages("jar") / f"plexindex-{version()}.jar"
    path = f"{JNA}:{made}"
    run(f"javac -cp {path} -d {folder} {BINDINGS}/java/test/Test.java", ROOT)
    print(run(f"java -cp {folder}:{path} Test packages {made} {JNA}", BINDINGS / "java"))
    prints(f"java -cp {path} main.java", "java/README.md", "java", folder)


def csharp(folder: Path) -> None:
    """The sources and the library, as a project has them."""
    run(f"cp -r {packages('csharp')}/. .", folder)
    run(f"mcs -out:Test.exe {BINDINGS}/csharp/test/Test.cs *.cs", folder)
    print(run(f"mono {folder}/Test.exe packages", BINDINGS / "csharp"))
    prints("mcs -out:main.exe *.cs && mono main.exe", "csharp/README.md", "cs", folder)


def readme(name: str, folder: Path) -> None:
    """How to install, a program, and how to run it: all in an empty folder, without variables of ours."""
    page = (BINDINGS / name / "README.md").read_text(encoding="utf-8")
    if (length := len(page.splitlines())) > SCREEN:
        raise WrongError(f"the README of {name} has {length} lines, and a screen {SCREEN}")
    (part,) = PART.findall(page)
    # What `make install` makes of the library, in names: no link for developers where a package has none.
    prefix, library = folder / "prefix", shared_library()
    (prefix / "lib").mkdir(parents=True)
    (prefix / "lib" / "libplexindex.so.0").symlink_to(library)
    (prefix / "lib" / "libplexindex.so").symlink_to("libplexindex.so.0")
    (prefix / "lib" / "libplexindex.a").symlink_to(library.with_suffix(".a"))
    script = "make() { :; }\n"
    for kind, body in BLOCK.findall(part):
        script += body if kind == "sh" else f"cat > {FILES[name]} <<'PROGRAM'\n{filled_in(body, folder / 'c')}PROGRAM\n"
    variables = {key: os.environ[key] for key in KEPT if key in os.environ}
    variables |= {"PLEXINDEX": str(ROOT), "PREFIX": str(prefix), "GEM_HOME": str(folder / "gems")}
    exported = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    said = run(f"env -i {exported} sh -euc {shlex.quote(script)}", folder)
    wanted = len([line for line in script.rsplit("PROGRAM\n", 1)[1].splitlines() if line.strip()])
    if len([line for line in said.splitlines() if movie()[1] in line]) != wanted:
        raise WrongError(f"the README of {name} prints:\n{said}")


def main() -> int:
    """Tries them all."""
    failed = passed = 0
    makers = {"node": node, "java": java, "csharp": csharp}
    with languages.variables(shared_library()) as given, tempfile.TemporaryDirectory() as work:
        os.environ.update(given)
        os.environ["GOCACHE"] = str(FOLDER / "go")
        for name, (tools, _) in languages.LANGUAGES.items():
            if missing := languages.missing(tools):
                print(f"{name}: skipped: not installed: {', '.join(missing)}")
                continue
            folder = Path(work, name)
            folder.mkdir()
            try:
                makers[name](folder) if name in makers else readme(name, folder)
                passed += 1
                print(f"{name}: passed", flush=True)
            except WrongError as error:
                failed += 1
                print(f"{name}: FAILED\n{error}", flush=True)
    print(f"\n{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
