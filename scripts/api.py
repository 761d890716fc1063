"""Renews docs/api.txt, the list of what the crate offers to Rust: `make api`.

Each public item with its signature, as rustdoc's JSON has it, also what the root re-exports of hidden modules. Other
hidden items are no part of the API. What only the feature `unstable-source` shows comes last, without its module.
`make lint` compares the list with the crate. RUSTC_BOOTSTRAP lets the stable
rustdoc write JSON; nothing else depends on it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from environment import ROOT, target_folder

FILE = ROOT / "docs" / "api.txt"
HEAD = """\
# What the crate plexindex offers to Rust. Made by `make api`. A line that goes or changes breaks programs.
"""
UNSTABLE_HEAD = """\

# With the feature `unstable-source`, beside the module `unstable_source`. These may change in any release.
"""
Node = dict[str, Any]


class Crate:
    """The items of rustdoc's JSON, by their number."""

    def __init__(self, document: Node) -> None:
        self.index: dict[str, Node] = document["index"]
        self.root = document["root"]

    def lines(self) -> list[str]:
        """One for each item, sorted."""
        found: list[str] = []
        self.module(self.item(self.root), found)
        return sorted(set(found))

    def item(self, number: int) -> Node:
        """The item of this number; nothing for another crate's, and for a hidden one."""
        item = self.index.get(str(number), {})
        return {} if any("doc(hidden)" in str(one) for one in item.get("attrs", [])) else item

    def module(self, module: Node, found: list[str]) -> None:
        """All that a module shows, and what it re-exports as its own."""
        for number in module["inner"]["module"]["items"]:
            item = self.item(number)
            if "use" in item.get("inner", {}):
                use = item["inner"]["use"]
                target = self.item(use["id"]) if use["id"] is not None else {}
                if use["is_glob"] and "module" in target.get("inner", {}):
                    self.module(target, found)
                elif target:
                    self.one(target, use["name"], found)
            elif item:
                self.one(item, item["name"], found)

    def one(self, item: Node, name: str, found: list[str]) -> None:
        """An item, and what belongs to it."""
        (kind, inner), *_ = item["inner"].items()
        if kind == "function":
            found.append(f"fn {name}{self.signature(inner)}")
        elif kind == "type_alias":
            found.append(f"type {name} = {self.type(inner['type'])}")
        elif kind == "constant":
            found.append(f"const {name}: {self.type(inner['type'])}")
        elif kind == "trait":
            found.append(f"trait {name}")
            for number in inner["items"]:
                self.member(name, self.item(number), found)
        elif kind in ("struct", "enum"):
            found.append(f"{kind} {name}{self.generics(inner['generics'])}{grows(item)}")
            plain = inner["kind"].get("plain", {}) if kind == "struct" and inner["kind"] != "unit" else {}
            fields = [field for field in map(self.item, plain.get("fields", [])) if field]
            found.extend(f"{name}.{field['name']}: {self.type(field['inner']['struct_field'])}" for field in fields)
            variants = [variant for variant in map(self.item, inner.get("variants", [])) if variant]
            found.extend(f"{name}::{variant['name']}{self.variant(variant)}" for variant in variants)
            for implementation in map(self.item, inner["impls"]):
                self.implementation(name, implementation, found)

    def variant(self, variant: Node) -> str:
        """What a variant holds."""
        kind, more = variant["inner"]["variant"]["kind"], grows(variant)
        if "tuple" in kind:
            return f"({', '.join(self.type(self.item(one)['inner']['struct_field']) for one in kind['tuple'])}){more}"
        if "struct" in kind:
            fields = map(self.item, kind["struct"]["fields"])
            text = ", ".join(f"{one['name']}: {self.type(one['inner']['struct_field'])}" for one in fields)
            return f" {{ {text} }}{more}"
        return more

    def implementation(self, name: str, implementation: Node, found: list[str]) -> None:
        """Functions of a type, or the trait that it has."""
        inner = implementation.get("inner", {}).get("impl")
        if not inner or inner["is_synthetic"] or inner["blanket_impl"]:
            return
        if inner["trait"]:
            if last(inner["trait"]["path"]) != "StructuralPartialEq":  # a part of the derived PartialEq
                found.append(f"impl {self.path(inner['trait'])} for {self.type(inner['for'])}")
            return
        for number in inner["items"]:
            self.member(name, self.item(number), found)

    def member(self, name: str, item: Node, found: list[str]) -> None:
        """A function or a constant of a type."""
        if "function" in item.get("inner", {}):
            found.append(f"fn {name}::{item['name']}{self.signature(item['inner']['function'])}")
        elif "assoc_const" in item.get("inner", {}):
            found.append(f"const {name}::{item['name']}: {self.type(item['inner']['assoc_const']['type'])}")

    def signature(self, function: Node) -> str:
        """Generics, arguments and result."""
        given = ", ".join(f"{name}: {self.type(kind)}" for name, kind in function["sig"]["inputs"])
        output = function["sig"]["output"]
        return f"{self.generics(function['generics'])}({given})" + (f" -> {self.type(output)}" if output else "")

    def generics(self, generics: Node) -> str:
        """Parameters with their bounds, without those that `impl Trait` stands for."""
        names = []
        for one in generics["params"]:
            (kind, inner), *_ = one["kind"].items()
            if kind == "type" and not inner["is_synthetic"]:
                names.append(one["name"] + (": " + self.bounds(inner["bounds"]) if inner["bounds"] else ""))
            elif kind == "lifetime":
                names.append(one["name"])
        return f"<{', '.join(names)}>" if names else ""

    def bounds(self, bounds: list[Node]) -> str:
        """`A + B`."""
        return " + ".join(
            self.path(one["trait_bound"]["trait"]) if "trait_bound" in one else str(one.get("outlives", "use"))
            for one in bounds
        )

    def path(self, path: Node) -> str:
        """A path with its arguments; of the path itself the last part."""
        arguments = path.get("args") or {}
        if "parenthesized" in arguments:
            inner = arguments["parenthesized"]
            inputs = ", ".join(map(self.type, inner["inputs"]))
            return f"{last(path['path'])}({inputs})" + (f" -> {self.type(inner['output'])}" if inner["output"] else "")
        inner = arguments.get("angle_bracketed") or {"args": [], "constraints": []}
        of = [one for one in inner["args"] if "lifetime" in one or "type" in one]
        given = [one.get("lifetime") or self.type(one["type"]) for one in of]
        given += [
            f"{one['name']} = {self.type(one['binding']['equality']['type'])}"
            for one in inner["constraints"]
            if "equality" in one["binding"] and "type" in one["binding"]["equality"]
        ]
        return last(path["path"]) + (f"<{', '.join(given)}>" if given else "")

    def type(self, kind: Node) -> str:
        """A type as Rust spells it."""
        (name, inner), *_ = kind.items()
        if name in ("primitive", "generic"):
            return str(inner)
        if name == "resolved_path":
            return self.path(inner)
        if name == "borrowed_ref":
            lifetime = f"{inner['lifetime']} " if inner["lifetime"] else ""
            return f"&{lifetime}{'mut ' if inner['is_mutable'] else ''}{self.type(inner['type'])}"
        if name == "tuple":
            return f"({', '.join(map(self.type, inner))})"
        if name == "slice":
            return f"[{self.type(inner)}]"
        if name == "array":
            return f"[{self.type(inner['type'])}; {inner['len']}]"
        if name == "impl_trait":
            return f"impl {self.bounds(inner)}"
        if name == "dyn_trait":
            return "dyn " + " + ".join(self.path(one["trait"]) for one in inner["traits"])
        if name == "qualified_path":
            return f"{self.type(inner['self_type'])}::{inner['name']}"
        return name


def grows(item: Node) -> str:
    """Whether other crates can neither make it nor match it in full."""
    return " (may grow)" if any("non_exhaustive" in str(one) for one in item["attrs"]) else ""


def last(path: str) -> str:
    """`Path` of `std::path::Path`."""
    return path.rsplit("::", 1)[-1]


def described() -> str:
    """The list's text."""
    stable = lines()
    unstable = sorted(set(lines("--features=unstable-source")) - set(stable))
    return HEAD + "\n".join(stable) + "\n" + UNSTABLE_HEAD + "\n".join(unstable) + "\n"


def lines(*features: str) -> list[str]:
    """The lines with these features beside the default ones."""
    command = [os.environ.get("CARGO", "cargo"), "rustdoc", "--quiet", "--lib", "--package=plexindex", *features]
    command += ["--", "-Zunstable-options", "--output-format=json", "--document-hidden-items", "--cap-lints=allow"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "RUSTC_BOOTSTRAP": "1"}, check=True)
    document = json.loads((target_folder() / "doc" / "plexindex.json").read_text(encoding="utf-8"))
    return Crate(document).lines()


def main() -> int:
    """Renews the file and lists what programs would miss."""
    old = FILE.read_text(encoding="utf-8") if FILE.is_file() else ""
    new = described()
    if "--check" in sys.argv[1:]:
        if old != new:
            print("docs/api.txt is not what the crate offers: run `make api`, and look at what goes")
        return int(old != new)
    FILE.write_text(new, encoding="utf-8")
    print(f"docs/api.txt is {'up to date' if old == new else 'renewed'}")
    kept = set(new.splitlines())
    for line in old.splitlines():
        if line not in kept:
            print(f"  no longer so: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
