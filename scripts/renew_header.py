"""Copies the headers and plexindex.json from build.rs's output to include, and generates bindings: `make header`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import make_bindings

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("plexindex.h", "plexindex.json")
SCHEMA = "plexindex.schema.json"


def main() -> None:
    """Builds the header and copies it, even if the crate itself does not compile yet."""
    command = [os.environ.get("CARGO", "cargo"), "check", "--lib", "--package=plexindex-capi"]
    command.append("--message-format=json-render-diagnostics")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    for message in map(json.loads, done.stdout.splitlines()):
        # Only build.rs writes a header with this name.
        if message["reason"] == "build-script-executed":
            generated = [Path(message["out_dir"], name) for name in NAMES]
            if all(file.is_file() for file in generated):
                old = (ROOT / "include" / "plexindex.json").read_text(encoding="utf-8").splitlines()
                for file in generated:
                    shutil.copyfile(file, ROOT / "include" / file.name)
                cargo = [os.environ.get("CARGO", "cargo"), "run", "-q", "--package=plexindex-abi", "--example=schema"]
                schema = subprocess.run(cargo, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
                (ROOT / "include" / SCHEMA).write_bytes(schema)
                print("include is up to date:", *NAMES, SCHEMA)
                new = {line.rstrip(",") for line in make_bindings.DESCRIPTION.read_text(encoding="utf-8").splitlines()}
                for line in old:
                    if line.rstrip(",") not in new:
                        print(f"changed or removed, as docs/abi.md describes: {line.strip()}")
                make_bindings.renew()
                return
    sys.exit("no header was generated: the messages above say why")


if __name__ == "__main__":
    main()
