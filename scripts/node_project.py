"""A project as a user of the package for Node.js has one, in build/languages/node, for `make test-languages`.

The packages are made, packed and installed as README of bindings/node says. The tests, the code in README and the
examples then run there: without PLEXINDEX_LIBRARY, and with nothing but what the packages have in them.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from environment import build_folder
from make_packages import BINDINGS, here

NODE = BINDINGS / "node"
NPM = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefer-offline"]
TSC = ["node_modules/.bin/tsc", "--noEmit", "--strict", "--skipDefaultLibCheck", "--module", "nodenext"]
# As TypeScript is used: with the library of types that goes with the target, and with the newest.
TYPES = (["--target", "es2022"], ["--target", "esnext", "--lib", "esnext", "--exactOptionalPropertyTypes"])


def code(page: Path) -> str:
    """All code of a page."""
    return "".join(re.findall(r"```js\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))


def commands(project: Path) -> list[list[str]]:
    """Prepares the project. Returns what installs the packages, once they are made, and tests them."""
    # What is installed stays: npm renews what differs.
    shutil.rmtree(project / "test", ignore_errors=True)
    shutil.copytree(NODE / "test", project / "test")
    (project / "readme.mts").write_text(code(NODE / "README.md"), encoding="utf-8")
    wanted = json.loads((NODE / "package.json").read_text(encoding="utf-8"))
    manifest = {"name": "project", "private": True, "devDependencies": wanted["devDependencies"]}
    (project / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    made = build_folder() / "packages" / "npm"
    packed = [project / f"plexindex-{name}{wanted['version']}.tgz" for name in ("", f"{here()}-")]
    return [
        ["npm", "pack", "--silent", str(made / "plexindex"), str(made / here())],
        [*NPM, *map(str, packed)],
        # The next installation keeps what they need.
        NPM,
        *([*TSC, *types, "test/types.ts", "readme.mts"] for types in TYPES),
        ["node", "--expose-gc", "--test-reporter=tap", "--test", "test/"],
    ]
