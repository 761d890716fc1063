"""Builds the site of documents into build/docs: `make docs`. Its pages are those of the repository; the references are
made from Python's docstrings and from the headers of C and C++.

A warning is an error: a name that does not exist, an annotation that cannot be read, a link that leads nowhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import PACKAGE, ROOT, Environment, build_folder, check_python

# Links in docstrings, such as :class:`Index`, and the text without the link.
ROLE = re.compile(r":(?:class|meth|func|attr|mod|data):`")
NAME = "plexindex"


# Run by the environment's Python. Members that a public class inherits from private ones are shown as its own: pdoc
# would list only their names. A method made from another one has its own text, and `self` for its object.
RENDER = """
import inspect, sys
from pathlib import Path
import pdoc, plexindex
from plexindex import _types
for name in plexindex.__all__:
    thing = getattr(plexindex, name)
    # Types of attributes are imported for type checkers only.
    vars(sys.modules.get(getattr(thing, "__module__", ""), _types)).update(
        {name: kind for name, kind in vars(_types).items() if name.endswith("Kind")}
    )
    if inspect.isfunction(thing):
        # Where the names in its annotations are known.
        thing.__module__ = thing.__globals__["__name__"]
    for base in getattr(thing, "__mro__", ())[1:]:
        if base.__module__.startswith("plexindex.") and base.__name__ not in plexindex.__all__:
            for member, value in vars(base).items():
                if not member.startswith("_") and member not in vars(thing):
                    setattr(thing, member, value)
for method in [*vars(plexindex.Index).values(), *vars(plexindex.Library).values()]:
    if hasattr(method, "__wrapped__"):
        method.__signature__ = inspect.signature(method)
        del method.__wrapped__
pdoc.render.configure(docformat="google", show_source=False, search=True)
pdoc.pdoc("plexindex", output_directory=Path(sys.argv[1]))
"""


def build(python: Path, folder: Path) -> list[str]:
    """Writes the pages. Returns their errors."""
    variables = {**os.environ, "PYTHONPATH": str(PACKAGE / "src"), "PYTHONWARNINGS": "default"}
    command = [str(python), "-c", RENDER, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True, check=False)
    wrong = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode:
        return wrong or [f"pdoc failed with exit code {done.returncode}"]
    page = folder / f"{NAME}.html"
    text = page.read_text(encoding="utf-8")
    links, targets = set(re.findall(r'href="#([^"]+)"', text)), set(re.findall(r'\bid="([^"]+)"', text))
    wrong += [
        f"{page}: a role that was not understood: {line.strip()}" for line in text.splitlines() if ROLE.search(line)
    ]
    wrong += [f"{page}: a link leads nowhere: #{link}" for link in sorted(links - targets)]
    return wrong


# Doxygen's options for both headers.
OPTIONS = {
    "QUIET": "YES",
    "HAVE_DOT": "NO",
    "WARN_AS_ERROR": "FAIL_ON_WARNINGS",
    "WARN_IF_UNDOCUMENTED": "YES",
    "JAVADOC_AUTOBRIEF": "YES",
    "GENERATE_LATEX": "NO",
    "STRIP_FROM_PATH": ROOT,
    "HTML_OUTPUT": ".",
    "HTML_TIMESTAMP": "NO",
    "SHOW_USED_FILES": "NO",
    "DISABLE_INDEX": "NO",
    "GENERATE_TREEVIEW": "YES",
    "VERBATIM_HEADERS": "NO",
    "SORT_MEMBER_DOCS": "NO",
    "MACRO_EXPANSION": "YES",
    "EXPAND_ONLY_PREDEF": "YES",
}
C_OPTIONS: dict[str, object] = {
    "PROJECT_NAME": '"plexindex in C"',
    "INPUT": " ".join(f'"{ROOT / "include" / name}"' for name in ("plexindex.h", "plexindex_more.h")),
    "INPUT_FILTER": f'"{sys.executable} {ROOT / "scripts" / "doxygen_filter.py"}"',
    "OPTIMIZE_OUTPUT_FOR_C": "YES",
    "TYPEDEF_HIDES_STRUCT": "YES",
    # The helpers are static.
    "EXTRACT_STATIC": "YES",
}
CPP_OPTIONS = {
    "PROJECT_NAME": '"plexindex in C++"',
    "INPUT": ROOT / "bindings" / "cpp" / "plexindex.hpp",
    "PREDEFINED": "DOXYGEN",
    "BUILTIN_STL_SUPPORT": "YES",
    "DISTRIBUTE_GROUP_DOC": "YES",
    # The comment at the top is the first page.
    "INPUT_FILTER": "\"sed -e 's|^/// @file$|/// @mainpage plexindex in C++|'\"",
}


def headers(folder: Path, options: dict[str, object]) -> list[str]:
    """Writes the pages of a header. Returns their errors."""
    if shutil.which("doxygen") is None:
        return ["no `doxygen` was found: install it, for the references of C and C++"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = {**OPTIONS, **options, "OUTPUT_DIRECTORY": folder}
    lines = "".join(f"{name} = {value}\n" for name, value in config.items())
    done = subprocess.run(["doxygen", "-"], cwd=ROOT, input=lines, capture_output=True, text=True, check=False)
    wrong = [line for line in done.stderr.splitlines() if line.strip()]
    return wrong or ([f"doxygen failed with exit code {done.returncode}"] if done.returncode else [])


# The site's menu. Pages have the paths that they have in the repository.
MENU: list[object] = [
    {"plexindex": "README.md"},
    {
        "Guide": [
            {"Install": "docs/install.md"},
            {"The command": "docs/command.md"},
            {"Python": "bindings/python/README.md"},
            {"What an answer says": "docs/answers.md"},
            {"Plex's database": "docs/plex-database.md"},
            {"Several hosts": "docs/several-hosts.md"},
            {"For tools that work on files": "docs/hosts.md"},
            {"A demonstration": "docs/demo.md"},
        ]
    },
    {
        "Languages": [
            {"All": "bindings/README.md"},
            {"C": "docs/c.md"},
            {"C++": "bindings/cpp/README.md"},
            {"Rust": "docs/rust.md"},
            {"Node.js": "bindings/node/README.md"},
            {"Go": "bindings/go/README.md"},
            {"Ruby": "bindings/ruby/README.md"},
            {"LuaJIT": "bindings/lua/README.md"},
            {"C#": "bindings/csharp/README.md"},
            {"Java": "bindings/java/README.md"},
        ]
    },
    {
        "Reference": [
            {"Python": "reference/python/plexindex.html"},
            {"C": "reference/c/index.html"},
            {"C++": "reference/cpp/index.html"},
            {"The C ABI": "docs/abi.md"},
        ]
    },
    {
        "How it works": [
            {"Design": "docs/design.md"},
            {"What may fail": "docs/faults.md"},
            {"Measurements": "bench/README.md"},
            {"Security": "SECURITY.md"},
            {"Contributing": "docs/contributing.md"},
            {"Releasing": "docs/releasing.md"},
            {"Changelog": "CHANGELOG.md"},
        ]
    },
]
LINK = re.compile(r"\]\(([\w./-]+\.\w+)(?:#[\w-]*)?\)")


def collect(folder: Path) -> None:
    """Copies the pages of the menu, and all that they lead to, to the same paths below a folder."""
    waiting = [ROOT / path for path in re.findall(r'"([\w./-]+\.md)"', json.dumps(MENU))]
    seen: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        target = folder / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        if file.suffix == ".md":
            links = LINK.findall(file.read_text(encoding="utf-8"))
            waiting += [Path(os.path.normpath(file.parent / link)) for link in links]


def site(python: Path, pages: Path, folder: Path) -> list[str]:
    """Writes the site of these pages. Returns its errors."""
    config = {
        "site_name": "plexindex",
        "docs_dir": str(pages),
        "site_dir": str(folder),
        "use_directory_urls": False,
        "nav": MENU,
        "theme": {"name": "mkdocs", "color_mode": "auto", "user_color_mode_toggle": True, "navigation_depth": 3},
        "validation": {"omitted_files": "ignore", "links": {"anchors": "warn"}},
    }
    # YAML is more than JSON.
    file = pages.parent / "mkdocs.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    command = [str(python), "-m", "mkdocs", "build", "--quiet", "--strict", "--config-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return wrong if done.returncode else []


def main() -> int:
    """Makes the environment if needed, then the pages."""
    check_python()
    environment = Environment(build_folder() / "venv")
    subprocess.run(["make", "--no-print-directory", "build/venv/made"], cwd=ROOT, check=True)
    folder = build_folder() / "docs"
    with tempfile.TemporaryDirectory() as made:
        pages = Path(made, "pages")
        collect(pages)
        reference = pages / "reference"
        wrong = build(environment.python, reference / "python")
        wrong += headers(reference / "c", C_OPTIONS) + headers(reference / "cpp", CPP_OPTIONS)
        wrong += site(environment.python, pages, folder)
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    print(f"{folder / 'index.html'} is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
