"""The bill of materials of the libraries, as CycloneDX 1.5: the crates that are linked, and SQLite.

Made here and not by cargo-cyclonedx: that lists crates only, and so leaves out SQLite, which is within one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import licences
from build_dist import ROOT
from install import version

LOCKED = re.compile(r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"')


def component(name: str, number: str, licence: str, **more: Any) -> dict[str, Any]:
    """One part."""
    found = {"type": "library", "name": name, "version": number, "licenses": [{"expression": licence}]}
    return {**found, "bom-ref": f"{name}@{number}", **more}


def sqlite(crate: dict[str, Any]) -> dict[str, Any]:
    """The SQLite in libsqlite3-sys: its version is in its header."""
    header = Path(crate["manifest_path"]).parent / "sqlite3" / "sqlite3.h"
    found = re.search(r'#define SQLITE_VERSION +"([^"]+)"', header.read_text(encoding="utf-8"))
    assert found is not None
    return component("sqlite", found[1], "blessing", cpe=f"cpe:2.3:a:sqlite:sqlite:{found[1]}:*:*:*:*:*:*:*")


def text(triples: list[str]) -> str:
    """The document for the libraries of these platforms."""
    sums = {found[:2]: found[2] for found in LOCKED.findall((ROOT / "Cargo.lock").read_text(encoding="utf-8"))}
    linked = {crate["id"]: crate for triple in triples for crate in licences.crates(triple, licences.PACKAGES)}
    parts = []
    for _, crate in sorted(linked.items(), key=lambda one: (one[1]["name"], one[1]["version"])):
        name, number = crate["name"], crate["version"]
        more: dict[str, Any] = {"purl": f"pkg:cargo/{name}@{number}"}
        if digest := sums.get((name, number)):
            more["hashes"] = [{"alg": "SHA-256", "content": digest}]
        # Older manifests write a slash where SPDX has OR.
        parts.append(component(name, number, (crate["license"] or "NOASSERTION").replace("/", " OR "), **more))
        if name == "libsqlite3-sys":
            parts.append(sqlite(crate))
    root = component("plexindex", version(), "MIT OR Apache-2.0", purl=f"pkg:cargo/plexindex@{version()}")
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": root},
        "components": parts,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    return json.dumps(document, indent=1) + "\n"
